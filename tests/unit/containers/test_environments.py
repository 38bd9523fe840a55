"""Packages are unpacked as they were packed, for a Python of their own, and nothing else is."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from sluice.containers import environments
from sluice.containers.data import DataError
from sluice.containers.environments import Seal


def archive(*members: tuple[str, str | None, bytes]) -> bytes:
    """A .tar.zst of (name, what a link leads to, content)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, leads_to, content in members:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755 if name.startswith("./bin") else 0o644
            if leads_to is not None:
                info.type, info.linkname = tarfile.SYMTYPE, leads_to
            tar.addfile(info, io.BytesIO(content))
    return zstandard.ZstdCompressor().compress(buffer.getvalue())


def unpack(data: bytes, folder: Path) -> environments.Python:
    return environments.unpack(io.BytesIO(data), hashlib.sha256(data).hexdigest(), folder)


def test_a_script_s_python_has_these_packages_and_no_others(tmp_path: Path) -> None:
    data = archive(
        ("./mine/__init__.py", None, b"x = 1\n"), ("./bin/tool", None, b""), ("./also", "mine", b"")
    )
    python = unpack(data, tmp_path / "env")
    said = (
        "import mine, importlib.util, sys\n"
        "print(mine.x, [importlib.util.find_spec(n) for n in ('pytest', 'sluice')])"
    )
    command = python.command(["python3", "-c", said])
    done = subprocess.run(command, env=python.variables, capture_output=True, text=True, check=True)
    assert done.stdout == "1 [None, None]\n"
    assert (python.site_packages / "also").readlink() == Path("mine")
    assert (python.site_packages / "bin/tool").stat().st_mode & 0o777 == 0o755
    assert python.command(["/usr/bin/python3.10", "x.py"])[0] == str(tmp_path / "env/bin/python3")
    assert python.command(["/bin/sh", "-c", "true"]) == ["/bin/sh", "-c", "true"]


@pytest.mark.parametrize(
    "member",
    [
        ("../escaped.py", None, b"x"),
        ("/escaped.py", None, b"x"),
        ("a/../../escaped.py", None, b"x"),
        ("link", "../../../..", b""),
        ("link", "/etc", b""),
    ],
)
def test_what_leads_out_of_the_archive_is_refused(
    tmp_path: Path, member: tuple[str, str | None, bytes]
) -> None:
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(archive(member), tmp_path / "deep" / "er" / "env")
    assert not list(tmp_path.rglob("escaped.py"))


def test_another_archive_of_that_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is another"):
        environments.unpack(io.BytesIO(archive(("a.py", None, b"x"))), "0" * 64, tmp_path / "env")


def test_without_packages_there_is_the_standard_library(tmp_path: Path) -> None:
    python = environments.without_packages(tmp_path / "env")
    command = python.command(["python", "-c", "import json, sys; print(len(sys.path) > 0)"])
    done = subprocess.run(command, env=python.variables, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def _overwrite(packages: Path) -> None:
    path = packages / "mine/__init__.py"
    before = path.stat()
    path.write_bytes(b"x = 2\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _swap(packages: Path) -> None:
    one, other, aside = packages / "mine/__init__.py", packages / "mine/more.py", packages / "mine/aside"
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def _lead_elsewhere(packages: Path) -> None:
    (packages / "mine").rename(packages.parents[3] / "elsewhere")
    (packages / "mine").symlink_to(packages.parents[3] / "elsewhere")


def _put_a_copy_in_its_place(packages: Path) -> None:
    folder = packages.parents[2]
    shutil.copytree(folder, folder.with_name("copy"), symlinks=True)
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)


def _leave_a_link_in_its_place(packages: Path) -> None:
    folder = packages.parents[2]
    folder.rename(folder.with_name("aside"))
    folder.symlink_to(folder.with_name("aside"))


@pytest.mark.parametrize(
    "tamper",
    [
        _overwrite,
        _swap,
        _lead_elsewhere,
        _put_a_copy_in_its_place,
        _leave_a_link_in_its_place,
        lambda packages: (packages / "sitecustomize.py").write_bytes(b""),
        lambda packages: (packages / "mine/more.py").unlink(),
        lambda packages: (packages / "mine/more.py").chmod(0o755),
        lambda packages: shutil.rmtree(packages.parents[2]),
    ],
)
def test_a_seal_tells_of_every_change_to_an_environment(
    tmp_path: Path, tamper: Callable[[Path], object]
) -> None:
    data = archive(("./mine/__init__.py", None, b"x = 1\n"), ("./mine/more.py", None, b"x = 3\n"))
    python = unpack(data, tmp_path / "env")
    seal = Seal.of(python)
    said = ["python3", "-c", "import mine.more"]
    subprocess.run(python.command(said), env=python.variables, check=True)
    assert seal.is_intact()
    tamper(python.site_packages)
    assert not seal.is_intact()


def test_an_environment_that_seems_to_be_from_the_future_is_never_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = unpack(archive(("a.py", None, b"")), tmp_path / "env")
    monkeypatch.setattr(time, "clock_gettime_ns", lambda clock: 0)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    assert not Seal.of(python).is_intact()
