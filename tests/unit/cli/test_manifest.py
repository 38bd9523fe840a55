"""`sluice manifest verify` finds whatever byte of a model's evidence was changed or is gone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import fakes
from build_world import PIPELINE, ROWS, RUN, Invoke, World
from command_world import Stack
from sluice.catalog import keys
from sluice.domain.build import projects
from sluice.domain.failures import MissingError
from sluice.services.build import artifacts
from sluice_cli import lookup, main, manifest_commands
from sluice_cli.options import Options


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> World:
    """A model of two objects, with prepared data of which one object is too large to be hashed."""
    world = World(cloud, invoke)
    monkeypatch.setattr(Options, "target", lambda _: Stack(cloud))
    monkeypatch.setattr(lookup, "model_arn", lambda *_: str(world.catalog_run()["model_package_arn"]))
    monkeypatch.setattr(artifacts, "HASHED_MAX_BYTES", 500)
    return world.begin("a large object", large_object)


def large_object(world: World) -> None:
    world.push()
    folder = f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{RUN}/prepare/train"
    world.cloud.objects.write(f"{folder}/a.csv", b"x,y\n")
    world.cloud.objects.write(f"{folder}/large.csv", b"x" * 600)
    world.upload("a.csv")
    assert world.build("b.csv", ROWS + b"3,1\n") == "registered"


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main.app, ["manifest", *arguments], catch_exceptions=False)


def conditions(*arguments: str) -> tuple[int, dict[str, str]]:
    result = call("verify", "reviews/1", "--json", *arguments)
    found = json.loads(result.stdout)
    assert found["is_intact"] is (result.exit_code == 0)
    return result.exit_code, {
        f"{each['kind']} {each['name']}": each["condition"] for each in found["findings"]
    }


def manifest(world: World) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(world.cloud.objects.read(world.catalog_run()["manifest_uri"]))
    return found


def test_what_was_not_touched_is_intact(world: World) -> None:
    code, found = conditions()
    assert code == 0
    assert found["artifact prepare/train/large.csv"] == "unhashed"
    assert {key for key, condition in found.items() if condition != "intact"} == {
        "artifact prepare/train/large.csv"
    }
    assert {"artifact model", "artifact code", "artifact bundle", "object reviews/a.csv"} <= found.keys()
    text = call("verify", "reviews/1").stdout
    assert "unhashed artifact prepare/train/large.csv" in text
    assert "2 objects" in text


def overwrite(world: World, uri: str) -> None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    world.cloud.objects.buckets[bucket][key][0].data = b"other bytes"


def artifact(name: str) -> Callable[[World], str]:
    return lambda world: next(each["uri"] for each in manifest(world)["artifacts"] if each["name"] == name)


CHANGED: dict[str, Callable[[World], str]] = {
    "artifact model": artifact("model"),
    "artifact code": artifact("code"),
    "artifact prepare/train/a.csv": artifact("prepare/train/a.csv"),
    "artifact prepare/train/large.csv": artifact("prepare/train/large.csv"),
    "object reviews/a.csv": lambda _: f"s3://{fakes.DATA_BUCKET}/reviews/a.csv",
}


@pytest.mark.parametrize("what", CHANGED)
def test_a_changed_byte_is_found(world: World, what: str) -> None:
    uri = CHANGED[what](world)
    overwrite(world, uri)
    code, found = conditions()
    assert code == 3
    assert {key for key, condition in found.items() if condition == "differs"} == {what}
    assert f"differs {what}" in call("verify", "reviews/1").stdout


@pytest.mark.parametrize("what", CHANGED)
def test_what_is_gone_is_named(world: World, what: str) -> None:
    bucket, _, key = CHANGED[what](world).removeprefix("s3://").partition("/")
    del world.cloud.objects.buckets[bucket][key]
    code, found = conditions()
    assert (code, found[what]) == (3, "gone")


def test_what_was_written_over_is_still_there_by_its_version(world: World) -> None:
    world.cloud.objects.put(fakes.DATA_BUCKET, "reviews/a.csv", b"other")
    uri = artifact("prepare/train/a.csv")(world)
    world.cloud.objects.write(uri, b"other")
    assert conditions()[0] == 0


def test_a_bundle_is_held_to_the_project_version(world: World) -> None:
    uri = manifest(world)["inputs"]["bundle_uri"]
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    world.cloud.objects.buckets[bucket][key][0].data = projects.pack({"pipeline.yaml": b"name: other"})
    code, found = conditions()
    differs = {key.partition(" ")[0] for key, condition in found.items() if condition == "differs"}
    assert (code, differs) == (3, {"artifact", "project"})
    overwrite(world, uri)
    assert conditions()[0] == 3
    del world.cloud.objects.buckets[bucket][key]
    assert "gone project" in call("verify", "reviews/1").stdout


def test_a_list_of_objects_that_is_gone_or_anothers_is_found(world: World) -> None:
    version = world.catalog_run()["dataset_version"]
    head = f"datasets/{PIPELINE}/{version}/manifest.json"
    stored = world.cloud.objects.buckets[fakes.ARTIFACT_BUCKET]
    listed = b'{"objects": [{"key": "k", "sha256": "0", "size_bytes": 1, "version_id": "v"}]}'
    stored[head][0].data = listed
    assert conditions()[1][f"dataset {version}"] == "differs"
    del stored[head]
    assert conditions()[1][f"dataset {version}"] == "gone"


def test_a_manifest_and_a_package_are_held_to_the_runs_item(world: World) -> None:
    overwrite_key = keys.run_key(PIPELINE, RUN)
    sha256 = world.catalog_run()["manifest_sha256"]
    world.cloud.catalog.update(overwrite_key, {"manifest_sha256": "0" * 64})
    found = conditions()[1]
    assert {key.partition(" ")[0] for key, condition in found.items() if condition == "differs"} == {
        "manifest",
        "package",
    }
    world.cloud.catalog.update(overwrite_key, {"manifest_sha256": sha256})
    world.cloud.registry.by_arn.clear()
    found = conditions()[1]
    assert found[f"package {world.catalog_run()['model_package_arn']}"] == "gone"


@contextmanager
def flipped(world: World, uri: str, at: int) -> Iterator[None]:
    """Flip a bit of a byte of an object's, for a while."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    stored = world.cloud.objects.buckets[bucket][key][-1]
    before = bytes(stored.data)
    stored.data = before[:at] + bytes([before[at] ^ 1]) + before[at + 1 :]
    yield
    stored.data = before


def test_of_a_changed_manifest_nothing_is_followed_whatever_byte_it_was(world: World) -> None:
    uri = world.catalog_run()["manifest_uri"]
    for at in range(0, len(world.cloud.objects.read(uri)), 97):
        with flipped(world, uri, at):
            code, found = conditions()
        assert (code, found[f"manifest {uri}"]) == (3, "differs")
        assert {key.partition(" ")[0] for key in found} == {"manifest", "package"}
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    del world.cloud.objects.buckets[bucket][key]
    result = call("verify", "reviews/1")
    assert result.exit_code == 3
    assert f"gone manifest {uri}: what it named was not read" in result.stdout


def test_a_list_of_objects_is_found_to_be_changed_whatever_byte_it_was(world: World) -> None:
    version = world.catalog_run()["dataset_version"]
    folder = f"s3://{fakes.ARTIFACT_BUCKET}/datasets/{PIPELINE}/segments/"
    head = json.loads(world.cloud.objects.read(world.dataset(version)["manifest_uri"]))
    uri = f"{folder}{head['segments'][0]['digest']}.json"
    for at in range(0, len(world.cloud.objects.read(uri)), 13):
        with flipped(world, uri, at):
            code, found = conditions()
        assert (code, found[f"dataset {version}"]) == (3, "differs")
    assert conditions()[0] == 0


def test_two_digests_are_told_by_digits_that_differ(world: World) -> None:
    uri, sha256 = world.catalog_run()["manifest_uri"], world.catalog_run()["manifest_sha256"]
    other = sha256[:-1] + ("0" if sha256[-1] != "0" else "1")
    world.cloud.catalog.update(keys.run_key(PIPELINE, RUN), {"manifest_sha256": other})
    text = call("verify", "reviews/1").stdout
    assert f"differs manifest {uri}: its sha256 is {sha256}, not {other}, so" in text


def test_environments_are_read_by_their_digest(world: World) -> None:
    archive = b"packages"
    digest = hashlib.sha256(archive).hexdigest()
    uri = world.catalog_run()["manifest_uri"]
    document = manifest(world)
    document["environments"][0]["environment"] = digest
    data = json.dumps(document).encode()
    sha256 = hashlib.sha256(data).hexdigest()
    world.cloud.catalog.update(keys.run_key(PIPELINE, RUN), {"manifest_sha256": sha256})
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    world.cloud.objects.buckets[bucket][key][0].data = data
    assert conditions()[1][f"environment {digest}"] == "gone"
    world.cloud.objects.write(f"s3://{fakes.ARTIFACT_BUCKET}/environments/{digest}.tar.zst", archive)
    assert conditions()[1][f"environment {digest}"] == "intact"
    world.cloud.objects.write(f"s3://{fakes.ARTIFACT_BUCKET}/environments/{digest}.tar.zst", b"other")
    assert conditions()[1][f"environment {digest}"] == "differs"


def test_the_data_may_be_left_out(world: World) -> None:
    overwrite(world, f"s3://{fakes.DATA_BUCKET}/reviews/a.csv")
    code, found = conditions("--no-data")
    assert code == 0
    assert not any(key.startswith("object") for key in found)
    assert "were not read" in call("verify", "reviews/1", "--no-data").stdout


def test_a_manifest_is_shown_in_words_and_as_it_is_stored(world: World) -> None:
    assert json.loads(call("show", "reviews/1", "--json").stdout) == manifest(world)
    text = call("show", "reviews/1").stdout
    assert "cause: 2 new objects, by sluice" in text
    assert "packages of evaluate-candidate, prepare, train-0, train-1: not known" in text
    assert "prepare/train/large.csv" in text


def test_the_same_packages_are_listed_once_with_all_steps_that_had_them() -> None:
    environments = [
        {"steps": ["prepare", "train-0"], "packages": {"numpy": "2.1.0"}},
        {"steps": ["evaluate-champion"], "packages": {"numpy": "2.1.0"}},
        {"steps": ["train-1"], "packages": None},
    ]
    assert manifest_commands._packages({"environments": environments}) == [
        ("numpy 2.1.0", ["prepare", "train-0", "evaluate-champion"]),
        ("not known", ["train-1"]),
    ]


def test_a_version_without_evidence_says_so(world: World) -> None:
    arn = world.catalog_run()["model_package_arn"]
    world.cloud.catalog.update(keys.run_key(PIPELINE, RUN), {"manifest_uri": None})
    with pytest.raises(MissingError, match="wrote no run manifest"):
        call("verify", "reviews/1")
    world.cloud.catalog.update(keys.package_key(arn), {"pipeline": None})
    with pytest.raises(MissingError, match="was not registered by a run of this stack"):
        call("show", "reviews/1")
