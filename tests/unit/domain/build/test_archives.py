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


def test_a_file_is_read_out_of_the_middle_of_an_archive() -> None:
    data = projects.pack({"a.bin": os.urandom(50_000), "metrics.json": b"{}", "z": b"1"})
    pieces = [data[start : start + 777] for start in range(0, len(data), 777)]
    assert archives.content(pieces, "metrics.json", 10, 1 << 20) == b"{}"
    assert archives.content([data], "a.bin", 10, 1 << 20) == archives.content(pieces, "a.bin", 10, 1 << 20)
    assert len(archives.content([data], "a.bin", 10, 1 << 20) or b"") == 11
    assert archives.content([data], "b.bin", 10, 1 << 20) is None


def test_an_archive_is_unpacked_no_further_than_allowed() -> None:
    """A bomb: a megabyte that unpacks to a gigabyte."""
    bomb = projects.pack({"a": bytes(1 << 24), "metrics.json": b"{}"})
    assert len(bomb) < 100_000
    with pytest.raises(archives.ArchiveError, match="has 1048576 bytes before it, unpacked"):
        archives.content([bomb], "metrics.json", 10, 1 << 20)


@pytest.mark.parametrize(
    "data", [b"", b"plain", gzip.compress(b"no tar" * 200, mtime=0), projects.pack({"a": b"1"})[:-30]]
)
def test_a_file_of_what_is_no_archive_cannot_be_read(data: bytes) -> None:
    with pytest.raises(archives.ArchiveError, match="cannot be read"):
        archives.content([data], "metrics.json", 10, 1 << 20)
