"""Store bytes on disk so that damage is detected: files named by digest, listed in a manifest.

A manifest replaces the previous one by a rename, once all files that it names are on disk; the previous one
is kept. So after a crash at any moment the last save or the previous one is intact, and a damaged file does
not match its name.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

Manifest = dict[str, Any]

_MANIFESTS = ("manifest.json", "manifest.previous.json")
_SYNCERS = 32


class TornError(Exception):
    """The disk does not have what was written."""


class StateFiles:
    """A folder of files named by digest, and their manifests."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._objects = directory / "objects"
        self._objects.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)  # it holds keys that the cloud issued
        self._unsynced: list[Path] = []
        # Leftovers of an unfinished save are written again if needed, else removed.
        self._known = {digest for manifest in self.manifests() for digest in named(manifest["parts"])}
        self._known &= {path.name for path in self._objects.iterdir()}

    def put(self, data: bytes) -> str:
        """Write the bytes unless they exist; returns their digest."""
        digest = hashlib.sha256(data).hexdigest()
        if digest not in self._known:
            path = self._objects / digest
            path.write_bytes(data)
            self._unsynced.append(path)
            self._known.add(digest)
        return digest

    def get(self, digest: str) -> bytes:
        """Return the bytes with the digest; raises TornError."""
        try:
            data = (self._objects / digest).read_bytes()
        except OSError as error:
            raise TornError(f"{digest[:12]} cannot be read: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != digest:
            (self._objects / digest).unlink()
            self._known.discard(digest)
            raise TornError(f"{digest[:12]} is not what was saved")
        return data

    def commit(self, manifest: Manifest, *, is_same: bool = False) -> None:
        """Make this the newest manifest; all that it names was put before.

        One that names the same (`is_same`) leaves the one before that in its place.
        """
        # Sync in parallel, which the file system combines: one by one a burst takes ten seconds.
        with ThreadPoolExecutor(_SYNCERS) as pool:
            list(pool.map(_sync, self._unsynced))
        self._unsynced.clear()
        _sync(self._objects)
        newest, previous = (self.directory / name for name in _MANIFESTS)
        text = json.dumps(manifest, sort_keys=True)
        draft = newest.with_suffix(".draft")
        draft.write_text(json.dumps({"digest": _digest(text), "manifest": text}))
        _sync(draft)
        if not is_same:
            with suppress(FileNotFoundError):
                newest.replace(previous)
        draft.replace(newest)
        _sync(self.directory)

    def manifests(self) -> Iterator[Manifest]:
        """Yield the intact manifests, newest first."""
        for name in _MANIFESTS:
            with suppress(OSError, ValueError, KeyError, TypeError):
                sealed = json.loads((self.directory / name).read_bytes())
                if sealed["digest"] == _digest(sealed["manifest"]):
                    yield json.loads(sealed["manifest"])

    def sweep(self, kept: Iterable[str]) -> None:
        """Remove files that no kept manifest names."""
        self._known &= set(kept)
        for path in self._objects.iterdir():
            if path.name not in self._known:
                path.unlink()


def named(parts: Mapping[str, Any]) -> set[str]:
    """Return the digests that the parts of a manifest name."""
    return {digest for part in parts.values() for digest in (part["digest"], *part["bodies"])}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _sync(path: Path) -> None:
    """Flush a file's bytes, or a folder's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
