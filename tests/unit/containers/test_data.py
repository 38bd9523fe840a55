"""What a script wrote is uploaded by its name, or the job fails for that name."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from sluice.containers.data import DataError, S3Location, Source, Storage, at_once, download_all, upload


class Keys:
    """A storage that takes what S3 takes."""

    workers = 1

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, location: S3Location, source: Path) -> None:
        self.written.append(location.key.encode())


class Stored:
    """A storage with objects, and how many of its requests were under way at once."""

    workers, role_arn, region = 4, "role", "eu-central-1"

    def __init__(self, wait: Callable[[], object], **objects: bytes) -> None:
        self._wait = wait
        self._objects = {key.replace("__", "/"): value for key, value in objects.items()}

    def keys(self, prefix: S3Location) -> list[str]:
        self._wait()
        return sorted(key for key in self._objects if key.startswith(prefix.key))

    def fetch(self, location: S3Location, target: Path) -> None:
        self._wait()
        target.write_bytes(self._objects[location.key])


def test_all_sources_of_a_job_are_listed_at_once_and_then_read_at_once(tmp_path: Path) -> None:
    # Each request waits until there are two.
    together = threading.Barrier(2, timeout=30)
    storage = Stored(together.wait, code__a=b"1", model__b=b"2")
    download_all(cast("Storage", storage), [_source("code/", tmp_path), _source("model/", tmp_path / "m")])
    assert (tmp_path / "a").read_bytes() == b"1"
    assert (tmp_path / "m/b").read_bytes() == b"2"


def test_of_two_sources_with_the_same_file_the_later_one_s_is_there(tmp_path: Path) -> None:
    storage = Stored(lambda: None, code__a=b"1", model__a=b"2")
    download_all(cast("Storage", storage), [_source("code/", tmp_path), _source("model/", tmp_path)])
    assert (tmp_path / "a").read_bytes() == b"2"


def test_a_source_without_objects_fails_the_job_by_its_name(tmp_path: Path) -> None:
    storage = Stored(lambda: None, code__a=b"1")
    with pytest.raises(DataError, match='No S3 objects found under S3 URL "s3://bucket/model/"'):
        download_all(cast("Storage", storage), [_source("code/", tmp_path), _source("model/", tmp_path)])


def test_what_is_done_at_once_returns_in_order_and_raises_the_first_error() -> None:
    together = threading.Barrier(2, timeout=30)
    assert at_once(lambda: together.wait() * 0 + 1, lambda: together.wait() * 0 + 2) == [1, 2]
    with pytest.raises(ZeroDivisionError):
        at_once(lambda: 1 / 0, lambda: 1)


def _source(key: str, folder: Path) -> Source:
    return Source({"S3DataType": "S3Prefix", "S3Uri": f"s3://bucket/{key}"}, folder)


def test_a_file_whose_name_is_no_text_fails_the_job_by_that_name(tmp_path: Path) -> None:
    storage = Keys()
    (tmp_path / "ö.csv").touch()
    upload(cast("Storage", storage), tmp_path, S3Location("bucket", "out"))
    assert storage.written == ["out/ö.csv".encode()]
    os.mkdir(os.fsencode(tmp_path) + b"/\xff")
    Path(tmp_path, os.fsdecode(b"\xff"), "a.csv").touch()
    with pytest.raises(DataError, match="no UTF-8") as refused:
        upload(cast("Storage", storage), tmp_path, S3Location("bucket", "out"))
    assert str(refused.value).isascii()
