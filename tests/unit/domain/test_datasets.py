"""A data set version is its content."""

import hashlib
from random import Random
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from sluice.domain.datasets import DatasetManifest, ObjectVersion, changed_since, combine, files_manifest

Mode = Literal["append", "replace"]
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
def test_a_manifest_is_read_back_and_its_version_is_its_bytes_digest(objects: list[ObjectVersion]) -> None:
    manifest = DatasetManifest.of(objects)
    assert DatasetManifest.from_json(manifest.to_json()) == manifest
    assert manifest.version == hashlib.sha256(manifest.to_json()).hexdigest()


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


@given(BATCHES, st.sampled_from(["append", "replace"]))
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


def test_the_files_manifest_is_sagemakers() -> None:
    manifest = combine("append", None, [obj("p/b c+%é"), obj("p/a")])
    assert files_manifest("data", manifest.objects) == [{"prefix": "s3://data/"}, "p/a", "p/b c+%é"]


def test_an_object_that_is_overwritten_or_gone_has_changed() -> None:
    manifest = combine("append", None, [obj("a"), obj("b"), obj("c")])
    assert changed_since(manifest, {"a": "1", "b": "2", "d": "1"}) == ["b", "c"]
    assert changed_since(manifest, {"a": "1", "b": "1", "c": "1"}) == []


def test_an_object_overwritten_with_the_same_content_has_not_changed() -> None:
    manifest = combine("append", None, [obj("a")])
    assert changed_since(manifest, {"a": "2"}, [obj("a", "2")]) == []
    assert changed_since(manifest, {"a": "2"}, [obj("a", "2", "y")]) == ["a"]
