"""What a script wrote is uploaded by its name, or the job fails for that name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import pytest

from sluice.containers.data import DataError, S3Location, Storage, upload


class Keys:
    """A storage that takes what S3 takes."""

    workers = 1

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, location: S3Location, source: Path) -> None:
        self.written.append(location.key.encode())


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
