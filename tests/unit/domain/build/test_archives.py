"""A model's archive is looked into as far as its first file."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Iterator

import pytest

from sluice.domain.build import archives, projects


def folders_only() -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        folder = tarfile.TarInfo("code")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    return gzip.compress(raw.getvalue(), mtime=0)


def test_an_archive_of_a_file_has_a_model_and_is_read_no_further() -> None:
    data = projects.pack({"model.bin": os.urandom(500_000)})
    read = []

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(data), 1000):
            read.append(start)
            yield data[start : start + 1000]

    assert archives.problem(chunks()) is None
    assert len(read) < 100


@pytest.mark.parametrize("data", [projects.pack({}), folders_only()])
def test_an_archive_without_a_file_has_none(data: bytes) -> None:
    assert archives.problem([data[:10], b"", data[10:]]) == archives.NOTHING_SAVED


@pytest.mark.parametrize(
    "data", [b"", b"plain", gzip.compress(b"no tar" * 200, mtime=0), projects.pack({"a": b"1"})[:-30]]
)
def test_what_is_no_archive_cannot_be_read(data: bytes) -> None:
    assert "cannot be read" in str(archives.problem([data]))
