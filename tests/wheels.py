"""Wheels and source archives that a test makes, as a package index in a folder."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def add_wheel(
    index: Path,
    name: str,
    version: str = "1.0",
    *,
    tag: str = "py3-none-any",
    requires: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
) -> Path:
    """Write a wheel whose package has one module, and more files if given, into the index."""
    about = f"{name}-{version}.dist-info"
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {each}" for each in requires),
    ]
    kind = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"
    held = {
        f"{name}/__init__.py": f"VERSION = '{version}'\nKINDS = frozenset(('a', 'b', 'c'))\n",
        **(files or {}),
        f"{about}/METADATA": "\n".join(metadata) + "\n",
        f"{about}/WHEEL": kind,
    }
    record = "".join(f"{path},{_digest(text)},{len(text.encode())}\n" for path, text in held.items())
    path = index / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in {**held, f"{about}/RECORD": f"{record}{about}/RECORD,,\n"}.items():
            archive.writestr(zipfile.ZipInfo(member), text)
    return path


def add_source(index: Path, name: str, version: str = "1.0") -> Path:
    """Write a source archive, whose code would write a file `ran` if it ran."""
    path = index / f"{name}-{version}.tar.gz"
    root = f"{name}-{version}"
    runs = f"open({str(index / 'ran')!r}, 'w')\nimport setuptools\nsetuptools.setup(name={name!r})\n"
    files = {
        f"{root}/PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{root}/setup.py": runs,
    }
    with tarfile.open(path, "w:gz") as archive:
        for member, text in files.items():
            info = tarfile.TarInfo(member)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


def pin(wheel: Path) -> str:
    """Write a wheel's line of a lock file."""
    name, version = wheel.name.split("-")[:2]
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f"{name}=={version} \\\n    --hash=sha256:{digest}\n"


def only(index: Path) -> dict[str, str]:
    """Return the variables with which uv knows this index and no other."""
    # uv would find it in a folder above the one that it works in.
    settings = index / "uv.toml"
    settings.write_text(f'[pip]\nno-index = true\nfind-links = ["{index}"]\n')
    return {"UV_CONFIG_FILE": str(settings)}


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
