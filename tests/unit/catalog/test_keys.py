"""Every item has a key that DynamoDB takes."""

from collections.abc import Callable

import pytest

from sluice.catalog import keys as catalog

KeyOf = Callable[[str, str], catalog.Key]


def in_state(state: str) -> KeyOf:
    return lambda key, version_id: catalog.arrival_key(state, "ab", key, version_id)


@pytest.mark.parametrize(
    ("begins", "key_of"),
    [("ARRIVAL#", catalog.unclaimed_key), *((state, in_state(state)) for state in catalog.STATES)],
)
def test_an_arrival_is_found_by_its_objects_version(begins: str, key_of: KeyOf) -> None:
    assert key_of("ab/a b.csv", "v1")["sk"] == f"{begins}ab/a b.csv#v1"
    assert key_of("ab/a b.csv", "v1") != key_of("ab/a b.csv", "v2")


@pytest.mark.parametrize("state", catalog.STATES)
def test_the_longest_key_of_an_object_fits_and_stays_distinct(state: str) -> None:
    longest = [f"ab/{'é' * 509}{last}" for last in "12"]
    keys = [in_state(state)(key, "v" * 32)["sk"] for key in longest]
    keys += [catalog.unclaimed_key(key, "v" * 32)["sk"] for key in longest]
    assert all(len(sk.encode()) <= catalog.SORT_KEY_MAX_BYTES for sk in keys)
    assert len(set(keys)) == 4


@pytest.mark.parametrize("key", ["ab/a.csv", f"ab/{'é' * 509}1"])
def test_the_versions_of_an_object_begin_alike(key: str) -> None:
    for version_id in ("null", "v" * 32):
        sk = in_state(catalog.SETTLED)(key, version_id)["sk"]
        assert sk.startswith(catalog.versions_prefix(catalog.SETTLED, key))


def test_one_timeline_entry_has_one_key() -> None:
    entry = catalog.timeline_item("ab", "2026-03-01T10:00:00.000Z", "run", "started", actor="me")
    again = catalog.timeline_item("ab", "2026-03-01T10:00:00.000Z", "run", "started", actor="me")
    other = catalog.timeline_item("ab", "2026-03-01T10:00:00.000Z", "run", "started", actor="you")
    assert entry == again
    assert entry["sk"] != other["sk"]
