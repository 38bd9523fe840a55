"""An image URI stands for locked packages, built once, and read by many."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sluice.containers.packages import LOCKS, names
from sluice_local.sagemaker.containers import images
from sluice_local.sagemaker.containers.images import Environment, ImageCache, ImageError, RequirementsError

REGISTRY = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
IMAGE = f"{REGISTRY}/sagemaker-scikit-learn:1.4-2-cpu-py3"


def test_an_image_is_its_lock_whatever_its_registry() -> None:
    lock = LOCKS / "scikit-learn-1.4-2.txt"
    for uri in (
        IMAGE,
        "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3",
        "sagemaker-scikit-learn:1.4-2",
    ):
        assert images.lock_file(uri) == lock
    assert images.digest(IMAGE) == f"sha256:{hashlib.sha256(lock.read_bytes()).hexdigest()}"


def test_an_image_of_xgboost_has_a_version_as_its_tag() -> None:
    image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.2-0"
    assert images.lock_file(image) == LOCKS / "xgboost-3.2-0.txt"
    with pytest.raises(ImageError, match=r"sagemaker-xgboost:3\.2-0"):
        images.lock_file(f"{image}-cpu-py3")


def test_a_resolved_image_is_the_same_image() -> None:
    resolved = images.resolved(IMAGE)
    assert resolved == f"{REGISTRY}/sagemaker-scikit-learn@{images.digest(IMAGE)}"
    assert images.lock_file(resolved) == images.lock_file(IMAGE)
    assert images.resolved(resolved) == resolved


@pytest.mark.parametrize(
    "uri",
    [
        "sagemaker-scikit-learn:9.9-9-cpu-py3",
        "sagemaker-scikit-learn",
        "sagemaker-scikit-learn:*",
        "sagemaker-scikit-learn:1.4-2-gpu-py3",
        "other:1.4-2-cpu-py3",
        f"sagemaker-scikit-learn:1.4-2-cpu-py3@sha256:{'0' * 64}",
        "",
    ],
)
def test_an_unknown_image_is_refused_with_the_names_that_exist(uri: str) -> None:
    with pytest.raises(ImageError) as error:
        images.digest(uri)
    assert "sagemaker-scikit-learn:1.4-2-cpu-py3" in str(error.value)


def test_every_name_that_is_said_to_exist_does() -> None:
    assert len(names()) >= 2
    for name in names():
        assert images.digest(name).startswith("sha256:")


@pytest.mark.parametrize("lock", sorted(LOCKS.glob("*.txt")), ids=lambda path: path.stem)
def test_locks_pin_every_package_by_hash_and_name_no_index(lock: Path) -> None:
    lines = lock.read_text().splitlines()
    packages = [line for line in lines if line[:1].isalnum()]
    assert packages
    assert all("==" in line and line.endswith("\\") for line in packages)
    assert sum("--hash=sha256:" in line for line in lines) >= len(packages)
    assert not any("index" in line or "find-links" in line or "://" in line for line in lines)


def test_of_every_image_it_is_known_which_python_it_has_on_sagemaker() -> None:
    frameworks = ("scikit-learn", "xgboost")
    assert set(images.REAL_PYTHONS) == {
        f"{framework} {lock.stem.removeprefix(f'{framework}-')}"
        for framework in frameworks
        for lock in LOCKS.glob(f"{framework}-*.txt")
    }
    assert len(images.REAL_PYTHONS) == len(names())
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert images.other_pythons() == {
        image: python for image, python in images.REAL_PYTHONS.items() if python != here
    }


class FakeInstaller:
    """Stands for uv: an installation is a file named after what was asked for."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fails = False
        self._lock = threading.Lock()

    def pip(self, python: Path, folder: Path) -> None:
        """As pip in that folder."""
        self("pip", "--python", str(python), str(folder / "requirements.txt"))

    def __call__(self, *arguments: str) -> None:
        with self._lock:
            self.calls.append(arguments[0])
        if arguments[0] == "venv":
            environment = Environment(Path(arguments[-1]))
            environment.site_packages.mkdir(parents=True)
            environment.bin.mkdir()
            (environment.directory / "pyvenv.cfg").write_text("home = /usr/bin\n")
            return
        if self.fails:
            raise RequirementsError("no such package")
        python = Path(arguments[arguments.index("--python") + 1])
        site_packages = Environment(python.parent.parent).site_packages
        (site_packages / Path(arguments[-1]).name).touch()


@pytest.fixture
def installer(monkeypatch: pytest.MonkeyPatch) -> FakeInstaller:
    fake = FakeInstaller()
    monkeypatch.setattr(images, "_uv", fake)
    monkeypatch.setattr(images, "_pip", fake.pip)
    return fake


def test_an_environment_is_built_once(installer: FakeInstaller, tmp_path: Path) -> None:
    cache = ImageCache(tmp_path / "cache")
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: cache.environment(IMAGE), range(4)))
    assert len(found) == 1
    assert installer.calls == ["venv", "pip"]
    assert ImageCache(tmp_path / "cache").environment(IMAGE) in found
    assert installer.calls == ["venv", "pip"]


def test_what_a_crash_left_is_built_again(installer: FakeInstaller, tmp_path: Path) -> None:
    cache = ImageCache(tmp_path)
    installer.fails = True
    with pytest.raises(ImageError, match="no such package"):
        cache.environment(IMAGE)
    installer.fails = False
    environment = cache.environment(IMAGE)
    assert (environment.site_packages / "scikit-learn-1.4-2.txt").exists()


def test_requirements_go_on_top_of_the_image_in_an_environment_of_their_own(
    installer: FakeInstaller, tmp_path: Path
) -> None:
    cache = ImageCache(tmp_path / "cache")
    base = cache.environment(IMAGE)
    environments = []
    for number, text in enumerate(("toolz\n", "cytoolz\n", "toolz\n")):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "requirements.txt").write_text(text)
        environments.append(cache.environment(IMAGE, folder / "requirements.txt"))
    assert environments[0] == environments[2] != environments[1]
    assert installer.calls.count("pip") == 3
    assert {path.name for path in environments[0].site_packages.iterdir()} == {
        "scikit-learn-1.4-2.txt",
        "requirements.txt",
    }
    assert not (base.site_packages / "requirements.txt").exists()


@pytest.mark.parametrize(
    ("content", "is_indexed"),
    [
        (b"six==1.16.0\n", True),
        (b"\xef\xbb\xbf# none\r\nsix >= 1, < 2 ; python_version > '3.8'  # why\r\n\r\n", True),
        (b"requests[socks,security]~=2.0\n", True),
        (b"six==1.16.0 \\\n    --hash=sha256:ab \\\n    --hash=sha256:cd\n", True),
        (b"./vendor/mylib\n", False),
        (b"vendor/mylib\n", False),
        (b"-e vendor/mylib\n", False),
        (b"--editable=.\n", False),
        (b"wheels/x-1-py3-none-any.whl\n", False),
        (b"x-1-py3-none-any.whl\n", False),
        (b"x-1.tar.gz\n", False),
        (b"x @ file:///opt/ml/code/x\n", False),
        (b"-r more.txt\n", False),
        (b"--find-links wheels\nx\n", False),
        (b"six # file\n.\n", False),
        ("\ufeffsix==1.16.0\r\n".encode("utf-16-le"), False),
    ],
)
def test_only_what_means_the_same_in_every_folder_is_shared(
    content: bytes, is_indexed: bool, tmp_path: Path
) -> None:
    (tmp_path / "requirements.txt").write_bytes(content)
    assert images.is_indexed(tmp_path / "requirements.txt") is is_indexed


def test_requirements_that_name_nothing_cost_nothing(installer: FakeInstaller, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("# none yet\n\n")
    cache = ImageCache(tmp_path / "cache")
    assert cache.environment(IMAGE, tmp_path / "requirements.txt") == cache.environment(IMAGE)


def test_of_what_pip_printed_its_errors_are_said() -> None:
    printed = "WARNING: Retrying\nERROR: No matching distribution found for nosuch\n"
    assert images.said_by_pip(printed) == "ERROR: No matching distribution found for nosuch"
    assert images.said_by_pip("it was killed\n") == "it was killed"


def test_requirements_that_fail_say_why_and_leave_nothing(installer: FakeInstaller, tmp_path: Path) -> None:
    cache = ImageCache(tmp_path / "cache")
    cache.environment(IMAGE)
    (tmp_path / "requirements.txt").write_text("nothing==0\n")
    installer.fails = True
    for _ in range(2):
        with pytest.raises(RequirementsError, match="no such package"):
            cache.environment(IMAGE, tmp_path / "requirements.txt")


def test_an_overlay_sees_the_image_and_keeps_its_own(tmp_path: Path) -> None:
    image = Environment(tmp_path / "image")
    image.site_packages.mkdir(parents=True)
    image.bin.mkdir()
    (image.directory / "pyvenv.cfg").write_text(f"home = {Path(images._PYTHON).parent}\n")
    (image.site_packages / "shipped.py").write_text("VERSION = 'image'\n")
    overlay = image.overlay(tmp_path / "overlay")

    def version() -> str:
        command = [str(overlay.python), "-c", "import shipped; print(shipped.VERSION)"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert version() == "image"
    (overlay.site_packages / "shipped.py").write_text("VERSION = 'own'\n")
    assert version() == "own"
    assert not (image.site_packages / "__pycache__" / "own").exists()
