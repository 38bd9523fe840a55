"""Every item has a key that DynamoDB takes."""

from collections.abc import Callable

import pytest

from sluice.catalog import keys as catalog

KeyOf = Callable[[str, str], catalog.Key]


@pytest.mark.parametrize("key_of", [catalog.unclaimed_key, lambda *args: catalog.arrival_key("ab", *args)])
def test_an_arrival_is_found_by_its_objects_version(key_of: KeyOf) -> None:
    assert key_of("ab/a b.csv", "v1")["sk"] == "ARRIVAL#ab/a b.csv#v1"
    assert key_of("ab/a b.csv", "v1") != key_of("ab/a b.csv", "v2")


def test_the_longest_key_of_an_object_fits_and_stays_distinct() -> None:
    longest = [f"ab/{'é' * 509}{last}" for last in "12"]
    keys = [catalog.arrival_key("ab", key, "v" * 32)["sk"] for key in longest]
    assert all(len(sk.encode()) <= catalog.SORT_KEY_MAX_BYTES for sk in keys)
    assert keys[0] != keys[1]


def test_one_timeline_entry_has_one_key() -> None:
    entry = catalog.timeline_item("ab", "2026-03-01T10:00:00.000Z", "run", "started", actor="me")
    again = catalog.timeline_item("ab", "2026-03-01T10:00:00.000Z", "run", "started", actor="me")
    other = catalog.timeline_item("ab", "2026-03-01T10:00:00.000Z", "run", "started", actor="you")
    assert entry == again
    assert entry["sk"] != other["sk"]
