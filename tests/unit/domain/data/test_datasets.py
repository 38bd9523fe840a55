"""A data set version is its content."""

import hashlib
import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.catalog.records.arrivals import Arrival
from sluice.domain.config.models import Window
from sluice.domain.data.datasets import (
    LIST_END,
    DatasetManifest,
    Mode,
    ObjectVersion,
    changed_since,
    combine,
    condition,
    list_opening,
    listed,
    unlisted,
)
from sluice.domain.data.windows import newest, within

OBJECTS = st.builds(
    lambda key, content: ObjectVersion(
        key, f"v{content}", content, hashlib.sha256(bytes([content])).hexdigest()
    ),
    st.sampled_from(["p/a", "p/b", "p/c", "p/d"]),
    st.integers(0, 5),
)
BATCHES = st.lists(st.lists(OBJECTS, min_size=1, max_size=5), min_size=1, max_size=5)


def obj(key: str, version_id: str = "1", content: str = "x") -> ObjectVersion:
    return ObjectVersion(key, version_id, len(content), hashlib.sha256(content.encode()).hexdigest())


def contents(manifest: DatasetManifest) -> dict[str, str]:
    return {o.key: o.sha256 for o in manifest.objects}


@given(st.lists(OBJECTS, unique_by=lambda o: o.key), st.randoms())
def test_the_version_does_not_depend_on_the_order_of_objects(
    objects: list[ObjectVersion], random: Random
) -> None:
    shuffled = random.sample(objects, len(objects))
    assert DatasetManifest.of(shuffled).version == DatasetManifest.of(objects).version


@given(st.lists(OBJECTS))
def test_a_manifest_is_read_back_and_tells_its_version_from_others(objects: list[ObjectVersion]) -> None:
    manifest = DatasetManifest.of(objects)
    assert DatasetManifest.from_json(manifest.to_json()) == manifest
    assert manifest.is_version(manifest.version)
    # Versions of an older stack are called so.
    assert manifest.is_version(hashlib.sha256(manifest.to_json()).hexdigest())
    if manifest.objects:
        assert not DatasetManifest(manifest.objects[1:]).is_version(manifest.version)


@given(BATCHES)
def test_appending_keeps_the_newest_content_of_every_key_ever_uploaded(
    batches: list[list[ObjectVersion]],
) -> None:
    manifest, expected = DatasetManifest(()), dict[str, str]()
    for batch in batches:
        manifest = combine("append", manifest, batch)
        expected |= {o.key: o.sha256 for o in batch}
    assert contents(manifest) == expected


@given(BATCHES)
def test_replacing_keeps_the_newest_batch_alone(batches: list[list[ObjectVersion]]) -> None:
    manifest = DatasetManifest(())
    for batch in batches:
        manifest = combine("replace", manifest, batch)
    assert contents(manifest) == {o.key: o.sha256 for o in batches[-1]}


@given(BATCHES, st.sampled_from(["append", "replace", "window"]))
def test_the_same_batch_again_is_the_same_version_even_under_new_version_ids(
    batches: list[list[ObjectVersion]], mode: Mode
) -> None:
    manifest = DatasetManifest(())
    for batch in batches:
        manifest = combine(mode, manifest, batch)
    again = [ObjectVersion(o.key, f"again-{o.version_id}", o.size_bytes, o.sha256) for o in batches[-1]]
    assert combine(mode, manifest, again).version == manifest.version


def test_other_content_or_another_key_is_another_version() -> None:
    one = combine("append", None, [obj("a")])
    assert combine("append", one, [obj("a", "2", "y")]).version != one.version
    assert combine("append", one, [obj("b")]).version != one.version


def test_without_arrivals_the_data_set_stays() -> None:
    one = combine("replace", None, [obj("a")])
    assert combine("replace", one, []) == one
    assert combine("append", one, []) == one


def test_the_size_is_the_sum_of_the_objects() -> None:
    assert combine("append", None, [obj("a", content="xy"), obj("b")]).size_bytes == 3


def test_an_object_that_is_overwritten_or_gone_has_changed() -> None:
    manifest = combine("append", None, [obj("a"), obj("b"), obj("c")])
    assert changed_since(manifest, {"a": "1", "b": "2", "d": "1"}) == ["b", "c"]
    assert changed_since(manifest, {"a": "1", "b": "1", "c": "1"}) == []


def test_an_object_overwritten_with_the_same_content_has_not_changed() -> None:
    manifest = combine("append", None, [obj("a")])
    assert changed_since(manifest, {"a": "2"}, [obj("a", "2")]) == []
    assert changed_since(manifest, {"a": "2"}, [obj("a", "2", "y")]) == ["a"]


@pytest.mark.parametrize(
    ("stored", "current", "expected"),
    [
        ("same", "same", "intact"),
        ("other", "other", "differs"),
        (None, "same", "gone"),
        ("same", "other", "overwritten"),
        ("same", None, "deleted"),
        (None, None, "gone"),
    ],
)
def test_what_has_become_of_an_object_is_named(
    stored: str | None, current: str | None, expected: str
) -> None:
    kept = obj("a", content="same")
    digests = {text: hashlib.sha256(text.encode()).hexdigest() for text in ("same", "other")}
    found = condition(kept, digests[stored] if stored else None, digests[current] if current else None)
    assert found == expected


def dated(key: str, day: int, version_id: str = "1", content: str = "x") -> Arrival:
    """An arrival of a day in March, which is its batch, too."""
    at, given = f"2026-03-{day:02d}T00:00:00.000Z", obj(key, version_id, content)
    return Arrival("p", key, version_id, given.size_bytes, at, "included", given.sha256, batch=f"{at} p/")


def kept_by(last: str, *arrivals: Arrival, keys: str = "abcd") -> str:
    manifest = DatasetManifest.of(obj(arrival.key) for arrival in arrivals if arrival.key in keys)
    return "".join(o.key for o in within(manifest, Window(last=last), newest({}, arrivals)).objects)


def test_a_window_of_time_ends_at_the_newest_object() -> None:
    arrivals = [dated("a", 1), dated("b", 2), dated("c", 3), dated("d", 3)]
    assert kept_by("1d", *arrivals) == "bcd"
    assert kept_by("47h", *arrivals) == "bcd"
    assert kept_by("2d", *arrivals) == "abcd"


def test_a_window_of_batches_counts_those_that_the_data_set_has() -> None:
    arrivals = [dated("a", 1), dated("b", 2), dated("c", 3), dated("d", 3)]
    assert kept_by("1 batch", *arrivals) == "cd"
    assert kept_by("2 batches", *arrivals) == "bcd"
    assert kept_by("9 batches", *arrivals) == "abcd"
    assert kept_by("2 batches", *arrivals, keys="abc") == "bc"
    assert kept_by("2 batches") == ""


def test_the_same_content_again_is_recent_again_and_other_content_is_not() -> None:
    again = dated("a", 3, "2")
    assert kept_by("1d", dated("a", 1), dated("b", 2), again) == "ab"
    assert kept_by("1d", dated("a", 1), dated("b", 3), dated("a", 3, "2", "other")) == "b"


KEYS = st.lists(st.text(alphabet='ab", \\é日', max_size=4), unique=True, max_size=9)


@given(st.lists(KEYS, max_size=4))
def test_a_list_is_a_prefix_and_keys(parts: list[list[str]]) -> None:
    keys = b"".join(map(listed, parts))
    found = list_opening("data") + keys + LIST_END
    assert found == json.dumps([{"prefix": "s3://data/"}, *(key for part in parts for key in part)]).encode()


@given(KEYS, st.sets(st.integers(0, 8)))
def test_keys_are_cut_out_of_a_list(keys: list[str], gone: set[int]) -> None:
    lost = [key for at, key in enumerate(keys) if at in gone]
    rest = [key for at, key in enumerate(keys) if at not in gone]
    assert b"".join(unlisted(listed(keys), lost) or ()) == listed(rest)
    assert unlisted(listed(rest), [*lost, "another"]) is None
