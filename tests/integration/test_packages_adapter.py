"""uv installs what is wanted; a folder that outlives the function saves the next one the work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.packages import UvPackages
from sluice.domain.build.environments import NoEnvironmentError, Wanted
from wheels import add_wheel, only, pin


@pytest.fixture
def index(tmp_path: Path) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    return folder


def build(index: Path, wanted: Wanted, name: str, **settings: str) -> Any:
    folder = index.parent / name
    folder.mkdir()
    found = {"PATH": os.environ["PATH"], "AWS_SECRET_ACCESS_KEY": "secret", **only(index), **settings}
    return UvPackages(found).build(wanted, folder, lambda: 60.0)


def wanted(lock: str, *requirements: str) -> Wanted:
    return Wanted("sagemaker-scikit-learn:1.4-2-cpu-py3", lock, requirements, "3.12", "arm64")


def test_an_archive_comes_with_its_list(index: Path) -> None:
    made = build(index, wanted(pin(add_wheel(index, "model"))), "first")
    assert made.document == {
        "digest": made.digest,
        "image": "sagemaker-scikit-learn:1.4-2-cpu-py3",
        "python": "3.12",
        "architecture": "arm64",
        "requirements": [],
        "packages": [{"name": "model", "version": "1.0"}],
        "lock": pin(index / "model-1.0-py3-none-any.whl"),
        "size_bytes": made.path.stat().st_size,
        "unpacked_bytes": made.document["unpacked_bytes"],
    }


def test_what_cannot_be_had_is_no_environment(index: Path) -> None:
    with pytest.raises(NoEnvironmentError, match="nosuch is not in the package index"):
        build(index, wanted(pin(add_wheel(index, "model")), "nosuch"), "first")


def test_an_archive_that_was_kept_is_not_built_again_unless_it_is_damaged(index: Path) -> None:
    asked, kept = wanted(pin(add_wheel(index, "model"))), index.parent / "kept"
    first = build(index, asked, "first", ENVIRONMENTS_FOLDER=str(kept))
    second = build(index, asked, "second", ENVIRONMENTS_FOLDER=str(kept))
    assert second.path == kept / f"{asked.spec}.tar.zst"
    assert (second.digest, second.document) == (first.digest, first.document)
    second.path.write_bytes(b"other")
    third = build(index, asked, "third", ENVIRONMENTS_FOLDER=str(kept))
    assert third.digest == first.digest
    assert sorted(path.suffix for path in kept.iterdir()) == [".json", ".zst"]


def test_another_image_requirement_python_or_processor_is_another_environment() -> None:
    asked = [
        wanted("a==1\n"),
        wanted("a==2\n"),
        wanted("a==1\n", "b"),
        Wanted("x", "a==1\n", (), "3.11", "arm64"),
        Wanted("x", "a==1\n", (), "3.12", "x86_64"),
    ]
    assert len({each.spec for each in asked}) == len(asked)
