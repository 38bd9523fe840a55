"""The digests of a job's outputs are the same however they are listed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import fakes
from sluice.domain.locations import bucket_and_key
from sluice.ports import ObjectHead
from sluice.services.build import contents

ABOVE = "s3://artifacts/runs/p/r/prepare"


@pytest.fixture
def listed(cloud: fakes.Cloud, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three outputs, one of which has another's name before its own; and what is listed of them."""
    for name in ("test/a.csv", "test-2/a.csv", "train/a.csv", "train/deep/b.csv"):
        cloud.objects.write(f"{ABOVE}/{name}", name.encode())
    prefixes, listing = list[str](), cloud.objects.listing

    def noted(bucket: str, prefix: str, **how: Any) -> Iterator[ObjectHead]:
        prefixes.append(prefix)
        return listing(bucket, prefix, **how)

    monkeypatch.setattr(cloud.objects, "listing", noted)
    return prefixes


def test_folders_side_by_side_are_listed_once(cloud: fakes.Cloud, listed: list[str]) -> None:
    uris = [f"{ABOVE}/train", f"{ABOVE}/test", f"{ABOVE}/test-2/", f"{ABOVE}/absent"]
    found = contents.digests(cloud, uris)
    assert listed == ["runs/p/r/prepare/"]
    assert found == [contents.digest(cloud, uri) for uri in uris]
    assert found[3] is None
    assert len(set(found)) == 4


@pytest.mark.parametrize(
    "uris",
    [
        [f"{ABOVE}/train"],
        [f"{ABOVE}/train", "s3://artifacts/runs/p/r/test"],
        [f"{ABOVE}/train", "s3://others/runs/p/r/prepare/test"],
        ["s3://artifacts/runs", "s3://artifacts/models"],
    ],
)
def test_other_folders_are_listed_each(cloud: fakes.Cloud, listed: list[str], uris: list[str]) -> None:
    assert contents.digests(cloud, uris) == [contents.digest(cloud, uri) for uri in uris]
    assert len(listed) == 2 * len(uris)


def test_of_too_many_objects_side_by_side_each_folder_is_listed(
    cloud: fakes.Cloud, listed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "OBJECTS_MAX", 2)
    uris = [f"{ABOVE}/train", f"{ABOVE}/test"]
    assert None not in contents.digests(cloud, uris)
    assert sorted(listed) == ["runs/p/r/prepare/", "runs/p/r/prepare/test/", "runs/p/r/prepare/train/"]


def written(cloud: fakes.Cloud, *names: str) -> dict[str, list[str]]:
    """What a job says of files that it wrote, with a digest that no reader would find."""
    heads = (cloud.objects.head(*bucket_and_key(f"{ABOVE}/{name}")) for name in names)
    return {f"s3://{head.bucket}/{head.key}": [head.version_id, "0" * 64] for head in heads if head}


@pytest.mark.usefixtures("listed")
def test_what_is_as_it_was_written_is_not_read(cloud: fakes.Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    uris = [f"{ABOVE}/train", f"{ABOVE}/test", f"{ABOVE}/test/a.csv"]
    known = written(cloud, "train/a.csv", "train/deep/b.csv", "test/a.csv")
    read = contents.digests(cloud, uris)
    monkeypatch.setattr(cloud.objects, "chunks", None)
    monkeypatch.setattr(cloud.objects, "open", None)
    assert all(one != other for one, other in zip(contents.digests(cloud, uris, known), read, strict=True))


@pytest.mark.usefixtures("listed")
def test_what_was_written_and_is_another_by_now_is_read(cloud: fakes.Cloud) -> None:
    uris = [f"{ABOVE}/train", f"{ABOVE}/test", f"{ABOVE}/test/a.csv"]
    known = written(cloud, "train/a.csv", "test/a.csv")
    for name in ("train", "test"):
        cloud.objects.write(f"{ABOVE}/{name}/a.csv", b"new")
    assert contents.digests(cloud, uris, known) == contents.digests(cloud, uris)
