"""`sluice lineage` tells where a model came from, and what came from data, over a stack of fakes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import fakes
from build_world import PIPELINE, ROWS, RUN, Invoke, World
from command_world import Stack
from sluice.catalog import keys
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion
from sluice.domain.failures import MissingError
from sluice.services.views import data, lineage, pipelines
from sluice_cli import lineage_tree, lookup, main
from sluice_cli.errors import CommandError
from sluice_cli.options import Options
from sluice_cli.output import out


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two models, of which the second serves; the second data set has one object more."""
    world = World(cloud, invoke)
    monkeypatch.setattr(Options, "target", lambda _: Stack(cloud))
    monkeypatch.setattr(lookup, "model_arn", lambda _, model: arn(world, f"reviews-0000{model[-1]}"))
    return world.begin("two models", two_models)


def two_models(world: World) -> None:
    world.push()
    source = {"commit": "c" * 40, "branch": "main", "remote": "https://host/r", "is_clean": False}
    project = keys.project_key(PIPELINE, world.pipeline["project_version"])
    world.cloud.catalog.update(project, {"source": source})
    assert world.build("a.csv") == "registered"
    world.release()
    assert world.build("b.csv", ROWS + b"3,1\n") == "registered"


def arn(world: World, run_id: str) -> str:
    return str(world.catalog_run(run_id)["model_package_arn"])


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main.app, ["lineage", *arguments], catch_exceptions=False)


def answer(*arguments: str) -> Any:
    result = call(*arguments, "--json")
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_a_models_tree_names_all_that_it_was_made_of(world: World) -> None:
    text = call("reviews/2").stdout
    version = world.catalog_run("reviews-00002")["dataset_version"]
    for told in (
        "reviews/2 PendingManualApproval",
        "run reviews-00002 (1 new object, by sluice)",
        f"data set {version[:12]}: 2 objects, 5 rows",
        "reviews/b.csv",
        "commit cccccccccccc on main with changes that are not committed",
        "repository https://host/r",
        "scikit-learn 1.4-2",
        "train-1, chosen (accuracy 0.9)",
        "alpha = 0.2",
        "── code ",
        "── bundle ",
        "── evaluation ",
        "environment without a digest",
        "compared with reviews/1 of reviews-00001",
    ):
        assert told in text
    assert "serves on sluice--reviews--production" in call("reviews/1").stdout


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        (
            {"prepare": {"split": [0.7, 0.3]}, "train": {"alpha": "0.2"}},
            ["split = [0.7, 0.3]", "alpha = 0.2"],
        ),
        ({"train-1": {"MinAccuracyValue": "0.7"}}, ["MinAccuracyValue = 0.7"]),
    ],
)
def test_parameters_are_beneath_the_step_that_had_them(
    world: World, capsys: pytest.CaptureFixture[str], parameters: dict[str, Any], told: list[str]
) -> None:
    found = lineage.model(world.cloud, arn(world, "reviews-00002"))
    out.print(lineage_tree.of_model({**found, "parameters": parameters}))
    shown = capsys.readouterr().out
    assert [line.partition("── ")[2] for line in shown.splitlines() if " = " in line] == told


def test_a_step_that_was_not_computed_names_the_run_that_it_is_from(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    found = lineage.model(world.cloud, arn(world, "reviews-00002"))
    reused = {"step": "train-0", "cached": {"step": "train-3", "run_id": RUN}, "artifacts": []}
    steps = [reused if each["step"] == "train-0" else each for each in found["steps"]]
    out.print(lineage_tree.of_model({**found, "steps": steps}))
    assert f"── train-0, from train-3 of {RUN}\n" in capsys.readouterr().out


def test_candidates_are_listed_by_their_number_whichever_began_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = lineage.find_manifest
    later = {"train-0": "2026-11-30T10:00:09Z", "train-1": "2026-11-30T10:00:08Z"}

    def found(*given: Any) -> Any:
        package, run, stored = find(*given)
        document = json.loads(stored)
        for step in document["steps"]:
            step["started_at"] = later.get(step["step"], step.get("started_at"))
        return package, run, json.dumps(document).encode()

    monkeypatch.setattr(lineage, "find_manifest", found)
    told = lineage.model(world.cloud, arn(world, "reviews-00002"))
    trained = [step["step"] for step in told["steps"] if step["step"].startswith("train-")]
    assert trained == ["train-0", "train-1"]


def test_what_a_step_wrote_is_listed_once(world: World) -> None:
    listed = [each for step in answer("reviews/2")["steps"] for each in step["artifacts"]]
    uris = [each["uri"] for each in listed]
    assert len(uris) == len({*uris})
    assert call("reviews/2").stdout.count("── evaluation ") == 1


def test_a_models_json_has_the_whole_chain(world: World) -> None:
    found = answer("reviews/2")
    assert found["project"]["source"]["commit"] == "c" * 40
    assert [each["model"] for each in found["champions"]] == ["reviews/1"]
    assert {obj["key"] for obj in found["dataset"]["shown"]} == {"reviews/a.csv", "reviews/b.csv"}
    assert found["parameters"]["train"] == {"alpha": "0.2"}
    steps = {step["step"]: step for step in found["steps"]}
    assert [each["name"] for each in steps["train-1"]["artifacts"]] == ["model"]


def test_a_manifest_that_was_changed_is_not_followed(world: World) -> None:
    uri = world.catalog_run()["manifest_uri"]
    world.cloud.objects.write(uri, world.cloud.objects.read(uri) + b" ")
    for how in ([], ["--json"], ["--openlineage"]):
        with pytest.raises(MissingError, match="the run manifest was changed"):
            call("reviews/1", *how)
    (champion,) = answer("reviews/2")["champions"]
    assert "was changed" in champion["problem"]


def test_openlineage_events_are_lines_of_json(world: World) -> None:
    lines = call("reviews/2", "--openlineage").stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert {event["job"]["name"] for event in events} >= {"run", "prepare", "train-1", "evaluate-candidate"}
    assert {event["eventType"] for event in events} == {"START", "COMPLETE"}


def test_what_came_from_a_data_set_version_is_its_runs_models_and_endpoints(world: World) -> None:
    version = world.catalog_run()["dataset_version"]
    found = answer("--dataset", version[:12])
    (run,) = found["runs"]
    assert (run["run_id"], run["status"], run["model"]["model"]) == (RUN, "registered", "reviews/1")
    assert [live["stage"] for live in run["model"]["live_on"]] == ["production"]
    assert "run reviews-00001 registered" in call("--dataset", version).stdout


def test_what_came_from_an_object_is_told_by_its_versions(world: World) -> None:
    found = answer("--object", "reviews/a.csv")
    made = [(each["version_id"], each["runs"][0]["run_id"]) for each in found["dataset_versions"]]
    assert made == [("v1", "reviews-00001"), ("v1", "reviews-00002")]
    only_last = answer("--object", f"s3://{fakes.DATA_BUCKET}/reviews/b.csv")
    assert [each["runs"][0]["run_id"] for each in only_last["dataset_versions"]] == ["reviews-00002"]
    text = call("--object", "reviews/a.csv").stdout
    assert "version v1" in text
    assert "serves on sluice--reviews--production (production)" in text


def test_an_overwritten_object_has_two_histories(world: World) -> None:
    world.build("a.csv", ROWS + b"4,0\n")
    found = answer("--object", "reviews/a.csv")
    assert [each["version_id"] for each in found["object_versions"]] == ["v1", "v2"]
    by_run = {each["runs"][0]["run_id"]: each["version_id"] for each in found["dataset_versions"]}
    assert by_run == {"reviews-00001": "v1", "reviews-00002": "v1", "reviews-00003": "v2"}


def test_a_long_history_comes_in_pages(world: World) -> None:
    first = answer("--object", "reviews/a.csv", "--limit", "1")
    assert [each["runs"][0]["run_id"] for each in first["dataset_versions"]] == ["reviews-00001"]
    rest = answer("--object", "reviews/a.csv", "--limit", "1", "--after", first["next_after"])
    assert [each["runs"][0]["run_id"] for each in rest["dataset_versions"]] == ["reviews-00002"]
    assert rest["next_after"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a model, or --dataset, or --object"),
        (["reviews/1", "--dataset", "abcd"], "name a model, or --dataset, or --object"),
        (["--dataset", "abcd", "--openlineage"], "--openlineage is for a model"),
        (["--object", "a.csv"], "'a.csv' names no uploaded object"),
        (["--object", "s3://elsewhere/reviews/a.csv"], "names no uploaded object"),
        (["--object", "review/a.csv"], "there is no pipeline 'review'"),
        (["--object", "reviews/z.csv"], "reviews/z.csv never arrived"),
        (["--dataset", "abcdef"], "no data set version begins with abcdef"),
    ],
)
def test_what_cannot_be_answered_says_what_to_type(world: World, arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said) as caught:
        call(*arguments)
    assert caught.value.exit_code == 2


def test_a_run_in_place_of_a_model_or_a_pipeline_is_told_apart(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(Options, "target", lambda _: Stack(world.cloud))
    with pytest.raises(CommandError, match=f"{RUN} is a run, and this asks for a model") as caught:
        call(RUN)
    assert (caught.value.hint, caught.value.exit_code) == ("Its model is reviews/1.", 2)
    with pytest.raises(CommandError, match=f"{RUN} is a run, and this asks for a pipeline") as caught:
        lookup.the_pipeline(Stack(world.cloud), RUN)  # type: ignore[arg-type]
    assert (caught.value.hint, caught.value.exit_code) == ("Name the pipeline: reviews.", 2)


@pytest.mark.parametrize(
    ("others", "told"),
    [
        (["0" * 60], "2 data set versions of several pipelines begin with"),
        # Which one of the other pipeline's is meant, is as little known.
        (["0" * 60, "1" * 60], "3 data set versions of several pipelines begin with"),
    ],
)
def test_digits_that_begin_versions_of_several_pipelines_are_asked_for_more(
    world: World, monkeypatch: pytest.MonkeyPatch, others: list[str], told: str
) -> None:
    version = world.catalog_run()["dataset_version"]
    in_pipeline = {"other": [f"{version[:4]}{rest}" for rest in others], PIPELINE: [version]}
    monkeypatch.setattr(pipelines, "pipeline_names", lambda _: [*in_pipeline])
    monkeypatch.setattr(
        data,
        "versions_beginning",
        lambda _, name, digits: [
            {"dataset_version": each} for each in in_pipeline[name] if each.startswith(digits)
        ],
    )
    with pytest.raises(CommandError, match=told) as caught:
        call("--dataset", version[:4])
    assert caught.value.hint.startswith(f"Name more digits: {version[:4]}00000000 of other, ")
    assert caught.value.hint.endswith(f"{version[:12]} of reviews.")
    assert caught.value.exit_code == 2
    for digits in ("f00d" if not version.startswith("f00d") else "beef", "all of them"):
        with pytest.raises(CommandError, match="no pipeline has a data set version"):
            call("--dataset", digits)


def test_objects_of_a_data_set_whose_files_are_gone_are_not_shown(world: World) -> None:
    version = world.catalog_run("reviews-00002")["dataset_version"]
    for key in [*world.cloud.objects.buckets[fakes.ARTIFACT_BUCKET]]:
        if key.startswith(f"datasets/{PIPELINE}/"):
            world.cloud.objects.delete(f"s3://{fakes.ARTIFACT_BUCKET}/{key}")
    found = answer("reviews/2")["dataset"]
    assert (found["shown"], found["parent"]) == (None, None)
    assert (found["version"], found["objects"]) == (version, 2)
    assert f"data set {version[:12]}: 2 objects, 5 rows" in call("reviews/2").stdout


def test_objects_of_a_data_set_of_an_older_stack_are_those_that_it_lists(world: World) -> None:
    version = world.catalog_run("reviews-00002")["dataset_version"]
    listed = [ObjectVersion(f"reviews/{number:02}.csv", "v1", 9, "ab" * 32) for number in range(30)]
    for key in [*world.cloud.objects.buckets[fakes.ARTIFACT_BUCKET]]:
        if key.startswith(f"datasets/{PIPELINE}/{version}/"):
            world.cloud.objects.delete(f"s3://{fakes.ARTIFACT_BUCKET}/{key}")
    uri = f"s3://{fakes.ARTIFACT_BUCKET}/datasets/{PIPELINE}/{version}/manifest.json"
    world.cloud.objects.write(uri, DatasetManifest.of(listed).to_json())
    found = answer("reviews/2")["dataset"]
    assert [each["key"] for each in found["shown"]] == [each.key for each in listed[: lineage.OBJECTS_SHOWN]]


def test_what_a_champion_was_compared_with_is_told_as_far_as_it_is_known(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.release(run_id="reviews-00002")
    assert world.build("c.csv", ROWS + b"4,1\n") == "registered"
    assert [each["model"] for each in answer("reviews/3")["champions"]] == ["reviews/2", "reviews/1"]
    with monkeypatch.context() as short:
        short.setattr(lineage, "_ANCESTORS_MAX", 1)
        assert [each["model"] for each in answer("reviews/3")["champions"]] == ["reviews/2"]
    world.cloud.objects.delete(world.catalog_run("reviews-00002")["manifest_uri"])
    (champion,) = answer("reviews/3")["champions"]
    assert champion["model"] == "reviews/2"
    assert champion["problem"]


def test_a_model_of_a_former_format_is_told_with_what_its_manifest_has(world: World) -> None:
    uri = world.catalog_run()["manifest_uri"]
    document = json.loads(world.cloud.objects.read(uri))
    for name in ("cause", "actor", "framework", "environments", "overrides"):
        del document[name]
    del document["inputs"]["source"]
    document["format"] = "sluice-run-manifest/2"
    document["artifacts"] = document["artifacts"][:3]
    former = json.dumps(document).encode()
    world.cloud.objects.write(uri, former)
    sha256 = hashlib.sha256(former).hexdigest()
    world.cloud.catalog.update(keys.run_key(PIPELINE, RUN), {"manifest_sha256": sha256})
    text = call("reviews/1").stdout
    assert "run reviews-00001 (cause unknown, by ?)" in text
    assert "no git commit: an older push recorded none" in text
    assert len(call("reviews/1", "--openlineage").stdout.splitlines()) >= 8
