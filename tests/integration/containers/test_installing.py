"""An environment is resolved, installed, stripped, compiled and packed in the same way each time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from sluice.containers import environments, installing
from sluice.containers.installing import Built, Installer, InstallError, explain
from wheels import add_source, add_wheel, only, pin

UV = Path(sys.executable).with_name("uv")


@pytest.fixture
def index(tmp_path: Path) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    return folder


def installer(index: Path, remaining_s: float = 60.0) -> Installer:
    variables = {"PATH": os.environ["PATH"], "UV_CACHE_DIR": str(index.parent / "cache"), **only(index)}
    return Installer(str(UV), variables, lambda: remaining_s)


def build(index: Path, lock: str, requirements: Sequence[str] = (), name: str = "work") -> Built:
    workspace = index.parent / name
    workspace.mkdir()
    return installing.build(installer(index), lock, requirements, workspace)


def unpacked(built: Built, folder: Path) -> Path:
    digest = hashlib.sha256(built.archive.read_bytes()).hexdigest()
    with built.archive.open("rb") as archive:
        return environments.unpack(archive, digest, folder).site_packages


def test_an_archive_holds_what_a_lock_pins_and_an_interpreter_imports_it(index: Path, tmp_path: Path) -> None:
    built = build(index, pin(add_wheel(index, "model")))
    assert built.packages == [("model", "1.0")]
    assert built.lock == pin(index / "model-1.0-py3-none-any.whl")
    folder = unpacked(built, tmp_path / "environment")
    (cached,) = (folder / "model" / "__pycache__").iterdir()
    assert cached.read_bytes()[4:8] == b"\1\0\0\0"  # not checked against the source
    asked = "import model; print(model.VERSION, model.__spec__.origin)"
    done = subprocess.run([sys.executable, "-c", asked], env={"PYTHONPATH": str(folder)}, capture_output=True)
    assert done.stdout.decode().split() == ["1.0", str(folder / "model" / "__init__.py")]


@pytest.mark.parametrize("module", ["compileall", "struct", "filecmp"])
def test_no_module_of_a_package_runs_however_it_is_called(index: Path, tmp_path: Path, module: str) -> None:
    ran = tmp_path / "ran"
    files = {f"{module}.py": f"open({str(ran)!r}, 'w').close()\n"}
    built = build(index, pin(add_wheel(index, "model", files=files)))
    assert not ran.exists()
    folder = unpacked(built, tmp_path / "environment")
    assert list((folder / "model" / "__pycache__").iterdir())


def test_the_same_wheels_give_the_same_bytes(index: Path) -> None:
    lock = "".join(pin(add_wheel(index, name)) for name in ("one", "two", "three"))
    first, second = (build(index, lock, name=name).archive.read_bytes() for name in ("first", "second"))
    assert hashlib.sha256(first).hexdigest() == hashlib.sha256(second).hexdigest()


def test_a_requirement_changes_a_version_of_the_image_only_where_it_must(index: Path) -> None:
    lock = pin(add_wheel(index, "base")) + pin(add_wheel(index, "other"))
    add_wheel(index, "base", "2.0")
    add_wheel(index, "other", "2.0")
    add_wheel(index, "newer", requires=["base>=2"])
    assert build(index, lock, ["other"], "a").packages == [("base", "1.0"), ("other", "1.0")]
    built = build(index, lock, ["newer"], "b")
    assert built.packages == [("base", "2.0"), ("newer", "1.0"), ("other", "1.0")]
    assert pin(index / "base-2.0-py3-none-any.whl") in built.lock


def test_tests_headers_and_servers_are_left_out(index: Path, tmp_path: Path) -> None:
    files = {
        "model/tests/__init__.py": "",
        "model/tests/test_it.py": "assert False\n",
        "model/plans/tests/plan.py": "",
        "model/include/model.h": "",
        "model/lib/libmodel.a": "",
    }
    lock = pin(add_wheel(index, "model", files=files)) + pin(add_wheel(index, "uvicorn"))
    folder = unpacked(build(index, lock), tmp_path / "environment")
    modules = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    held = {path.relative_to(folder).as_posix() for path in modules if "dist-info" not in str(path)}
    assert held == {"model/__init__.py", "model/plans/tests/plan.py"}


@pytest.mark.parametrize(
    ("requirement", "problem"),
    [
        ("oldest", f"oldest 1.0 has no wheel for Python 3.{sys.version_info.minor} on "),
        ("elsewhere==1.0", "elsewhere 1.0 has no wheel for Python"),
        ("source", "source 1.0 has no wheel for Python"),
        ("nosuch", "nosuch is not in the package index"),
        ("model==9", "there is no version of model==9"),
        (
            "--index-url http://user:secret@127.0.0.1:9/simple\nmodel",
            "cannot be reached: http://127.0.0.1:9/",
        ),
    ],
)
def test_what_cannot_be_installed_is_named(index: Path, requirement: str, problem: str) -> None:
    lock = pin(add_wheel(index, "model"))
    add_wheel(index, "oldest", tag="cp27-cp27m-manylinux1_x86_64")
    add_wheel(index, "elsewhere", tag="py3-none-win32")
    add_source(index, "source")
    given = installer(index)
    if "--index-url" in requirement:
        given = Installer(given.uv, {"PATH": os.environ["PATH"], "UV_HTTP_RETRIES": "0"}, given.remaining_s)
    (workspace := index.parent / "work").mkdir()
    with pytest.raises(InstallError, match=problem) as refused:
        installing.build(given, lock, requirement.splitlines(), workspace)
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)
    assert not (index / "ran").exists()


def test_a_hash_that_is_asked_for_must_be_met(index: Path) -> None:
    lock = pin(add_wheel(index, "base"))
    right = pin(add_wheel(index, "more")).splitlines()
    assert ("more", "1.0") in build(index, lock, right, "right").packages
    wrong = ["more==1.0 \\", f"    --hash=sha256:{'0' * 64}"]
    with pytest.raises(InstallError, match=r"hash|Hash"):
        build(index, lock, wrong, "wrong")


def test_too_many_packages_are_refused_with_their_size(index: Path) -> None:
    lock = pin(add_wheel(index, "model", files={"model/data.bin": "x" * 3_000_000}))
    (workspace := index.parent / "work").mkdir()
    with pytest.raises(InstallError, match="its packages have 3 MB, jobs on Lambda take at most 2 MB"):
        installing.build(installer(index), lock, (), workspace, unpacked_bytes_max=2_000_000)


def test_an_index_that_requirements_name_is_used_for_them(index: Path) -> None:
    lock = pin(add_wheel(index, "base"))
    (private := index.parent / "private").mkdir()
    add_wheel(private, "ours")
    assert build(index, lock, [f"--find-links {private}", "ours"]).packages == [
        ("base", "1.0"),
        ("ours", "1.0"),
    ]


def test_it_ends_in_time(index: Path) -> None:
    lock = pin(add_wheel(index, "model"))
    (workspace := index.parent / "work").mkdir()
    with pytest.raises(InstallError, match="no time"):
        installing.build(installer(index, 0.0), lock, (), workspace)


def test_a_full_disk_is_called_so() -> None:
    said = "error: Failed to install: x.whl\n  cause: No space left on device (os error 28)"
    assert explain(said) == "its packages do not fit into the disk of the function that installs them"
