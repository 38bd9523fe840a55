"""Every item has a key that DynamoDB takes."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sluice.catalog import keys as catalog
from sluice.catalog.records.timeline import Entry

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
    at = "2026-03-01T10:00:00.000Z"
    mine, yours = (Entry("ab", at, "run", "started", actor, "") for actor in ("me", "you"))
    # An older stack wrote it so: by its key what was told before is known.
    assert mine.item()["sk"] == f"TIMELINE#{at}#c16825ce74"
    assert mine.item()["sk"] != yours.item()["sk"]
    assert Entry.of(mine.item()) == mine


ROOT = Path(__file__).parents[3]
NAMES = (
    "APPROVAL|ARRIVAL|BUILT|DATASET|DEPLOYMENT|HASHING|PACKAGE|PIPELINE|PROJECT|QUARANTINED|RELEASE|RUN|SETTLED"
    "|STAGE|STEP|TAKENBACK|TASK|TIMELINE|TOUCHED|WAITING"
)
SPELT = re.compile(rf'"(?:{NAMES})#|\["[ps]k"\]\.(?:removeprefix|r?partition|split)')


def test_keys_are_spelt_and_read_in_one_module_alone() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("layers/common/sluice", "functions", "cli")
        for path in (ROOT / folder).rglob("*.py")
        if path != ROOT / "layers/common/sluice/catalog/keys.py"
        for line in path.read_text().splitlines()
        if SPELT.search(line)
    ]
    assert found == []


def test_what_is_no_key_of_an_item_is_not_read_as_one() -> None:
    run = catalog.run_key("ab", "ab-00001")
    assert catalog.run_id_of(run) == "ab-00001"
    with pytest.raises(ValueError, match="STEP#"):
        catalog.step_of(run)
    assert catalog.deployment_of(catalog.deployment_key("ab", "production", "r#1")) == ("production", "r#1")
    assert catalog.epoch_of(catalog.approval_key("arn", 12)) == 12
