"""Which objects are there is the same however it is asked, and costs as little as their places allow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import fakes
from build_world import PIPELINE
from sluice.ports import ObjectHead
from sluice.services.data import presence

WANTED = [f"{PIPELINE}/m-{number:02}.csv" for number in range(12)]


class Asked(fakes.FakeObjects):
    """A bucket that counts the requests for one object, and the objects that listings went through."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = self.listed = 0

    def head(self, bucket: str, key: str, version_id: str | None = None) -> ObjectHead | None:
        self.heads += 1
        return super().head(bucket, key, version_id)

    def listing(self, bucket: str, prefix: str, **options: Any) -> Iterator[ObjectHead]:
        for head in super().listing(bucket, prefix, **options):
            self.listed += 1
            yield head


@pytest.fixture
def objects() -> Asked:
    """All but one of the wanted objects, one of them overwritten, and others before and behind them."""
    made = Asked()
    behind = [f"{PIPELINE}/z-{number:03}.csv" for number in range(100)]
    for key in [f"{PIPELINE}/a.csv", *WANTED, WANTED[3], *behind]:
        made.put(fakes.DATA_BUCKET, key, b"x,y\n")
    made.delete(f"s3://{fakes.DATA_BUCKET}/{WANTED[5]}")
    return made


FOUND = {key: "v2" if key == WANTED[3] else "v1" for key in WANTED if key != WANTED[5]}


def test_objects_that_lie_together_are_found_by_listing_what_is_between_them(objects: Asked) -> None:
    assert presence.present_versions(fakes.Cloud(objects=objects), reversed(WANTED)) == FOUND
    assert objects.heads == 1
    assert objects.listed == len(FOUND), "the listing ends with the first object behind the last one"


def test_the_first_of_them_may_be_gone(objects: Asked) -> None:
    objects.delete(f"s3://{fakes.DATA_BUCKET}/{WANTED[0]}")
    found = presence.present_versions(fakes.Cloud(objects=objects), WANTED)
    assert found == {key: version for key, version in FOUND.items() if key != WANTED[0]}


def test_a_listing_is_given_up_where_many_others_lie_between(objects: Asked) -> None:
    for number in range(100):
        objects.put(fakes.DATA_BUCKET, f"{WANTED[2]}-{number:03}", b"x,y\n")
    assert presence.present_versions(fakes.Cloud(objects=objects), WANTED) == FOUND
    assert objects.heads == 1 + len(WANTED)
    assert objects.listed < 50


def test_a_few_are_asked_for_one_by_one(objects: Asked) -> None:
    few = [*WANTED[:6], "others/b.csv"]
    expected = {key: version for key, version in FOUND.items() if key in few}
    assert presence.present_versions(fakes.Cloud(objects=objects), few) == expected
    assert (objects.heads, objects.listed) == (len(few), 0)
