"""`sluice recall` names what was trained with an object, and has the stack build without it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import fakes
from browsing import body
from build_world import PIPELINE, ROWS, RUN, Invoke, World
from command_world import Hearing
from sluice.catalog import keys
from sluice.catalog.changes import releases as changes
from sluice.catalog.records.releases import Package
from sluice.services.data import datasets, recalling
from sluice.services.views import pipelines, recalls
from sluice_cli import main, options, serving_commands
from sluice_cli.errors import CommandError

SECOND = "reviews-00002"
BAD = b"x,y\n9,1\n"


@pytest.fixture
def stack(cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> Hearing[World]:
    """A model of two objects, which serves."""
    world = World(cloud, invoke)
    world.push()
    world.upload("bad.csv", BAD)
    assert world.build("a.csv") == "registered"
    world.release()
    world.later(minutes=10)
    stack = Hearing(world, "DataRecallRequested", "recall_data")
    monkeypatch.setattr(options.Options, "target", lambda self: stack)
    return stack


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main.app, ["recall", *arguments], catch_exceptions=False)


def build(stack: Hearing[World]) -> str:
    stack.world.ask()
    return stack.world.play(stack.world.pipeline["in_flight"])


def test_the_live_models_that_were_trained_with_it_are_named(stack: Hearing[World]) -> None:
    result = call("reviews/bad.csv", "--dry-run", "--json")
    (row,) = json.loads(result.stdout)["live_models"]
    assert (row["model"], row["stage"], row["run_id"]) == ("reviews/1", "production", RUN)
    assert [obj["key"] for obj in row["objects"]] == ["reviews/bad.csv"]
    told = call("reviews/bad.csv", "--dry-run")
    assert "reviews/bad.csv, version v1" in told.stdout
    assert "next: the same without --dry-run recalls it" in told.stderr
    assert stack.world.events().count("data recalled") == 0


def test_the_lineage_of_a_recalled_object_leads_to_why_it_is_aside(stack: Hearing[World]) -> None:
    call("reviews/bad.csv", "-m", "consent withdrawn")
    assert build(stack) == "registered"
    shown = CliRunner().invoke(main.app, ["lineage", "--object", "reviews/bad.csv"], catch_exceptions=False)
    assert "next: `sluice data list reviews --quarantined` says why" in shown.output.replace("\n", " ")
    shown = CliRunner().invoke(main.app, ["lineage", "--object", "reviews/a.csv"], catch_exceptions=False)
    assert "`sluice recall reviews/a.csv`" in shown.output.replace("\n", " ")


def test_an_earlier_version_of_the_key_counts(stack: Hearing[World]) -> None:
    """What serves was trained with what the key held before it was overwritten."""
    assert stack.world.build("bad.csv", ROWS + b"5,0\n") == "registered"
    (row,) = json.loads(call("reviews/bad.csv", "--dry-run", "--json").stdout)["live_models"]
    assert row["objects"][0]["version_id"] == "v1"


def test_the_same_bytes_under_another_key_count(stack: Hearing[World]) -> None:
    stack.world.upload("copy.csv", BAD)
    (row,) = json.loads(call("reviews/copy.csv", "--dry-run", "--json").stdout)["live_models"]
    assert row["objects"][0]["key"] == "reviews/bad.csv"


def test_a_model_without_it_is_not_named(stack: Hearing[World]) -> None:
    stack.world.upload("new.csv", b"x,y\n3,0\n")
    result = call("reviews/new.csv", "--dry-run")
    assert "no model that serves was trained with reviews/new.csv" in result.stdout


def test_a_model_whose_data_are_not_known_says_so(stack: Hearing[World]) -> None:
    uri = stack.world.catalog_run()["manifest_uri"]
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    del stack.cloud.objects.buckets[bucket][key]
    (row,) = json.loads(call("reviews/bad.csv", "--dry-run", "--json").stdout)["live_models"]
    assert "is not known: the run manifest is gone" in row["problem"]


def test_it_is_recalled_and_told_in_the_status_until_a_person_decided(
    stack: Hearing[World], capsys: pytest.CaptureFixture[str]
) -> None:
    result = call("reviews/bad.csv", "-m", "consent withdrawn")
    assert result.exit_code == 0
    assert "recalled reviews/bad.csv: no later data set of reviews has it" in result.stdout
    (row,) = open_recalls(stack)
    assert (row["status"], row["reason"], row["model"]) == ("open", "consent withdrawn", None)
    assert build(stack) == "registered"
    (row,) = open_recalls(stack)
    assert (row["status"], row["run_id"], row["model"]) == ("rebuilt", SECOND, "reviews/2")
    found = {
        **pipelines.status(stack.cloud, PIPELINE),
        **dict.fromkeys(("stages", "awaited", "timeline", "incomplete"), ()),
    }
    serving_commands.print_status({**found, "last_run": None, "last_release": None})
    said = capsys.readouterr().out
    assert "recalled reviews/bad.csv: consent withdrawn; reviews-00002 made reviews/2 without it" in said
    arn = stack.world.catalog_run(SECOND)["model_package_arn"]
    item = stack.catalog.get(keys.package_key(arn))
    assert item is not None
    stack.catalog.apply(changes.decide(Package.of(item), "Approved"))
    assert open_recalls(stack) == []


def test_a_version_that_waits_says_that_it_was_trained_with_it(stack: Hearing[World]) -> None:
    world = stack.world
    for name, rows in (("c.csv", b"x,y\n5,1\n"), ("bad2.csv", b"x,y\n7,1\n")):
        assert world.build(name, rows) == "registered"
        world.later(minutes=10)
    call("reviews/bad2.csv")
    said = "trained with reviews/bad2.csv, which was recalled"
    status = pipelines.status(stack.cloud, PIPELINE)
    newest, before, *_ = status["awaited"]
    assert (newest["model"], newest["recalled"]) == ("reviews/3", ["reviews/bad2.csv"])
    assert (before["model"], "recalled" in before) == ("reviews/2", False)
    for command in (["status", PIPELINE], ["models", PIPELINE], ["run", "reviews-00003"]):
        shown = CliRunner().invoke(main.app, command, catch_exceptions=False)
        assert " ".join(shown.output.split()).count(said) == 1, command
    assert said not in CliRunner().invoke(main.app, ["run", SECOND], catch_exceptions=False).output
    assert f"It was {said}." in body(stack.cloud, "/models/reviews/3")
    assert "recalled" not in body(stack.cloud, "/models/reviews/2")
    assert "it began before a recall of reviews/bad2.csv" in body(stack.cloud, f"/pipelines/{PIPELINE}")


def test_a_recall_is_settled_once_a_later_version_is_approved(stack: Hearing[World]) -> None:
    call("reviews/bad.csv")
    assert build(stack) == "registered"
    stack.world.later(minutes=10)
    assert stack.world.build("c.csv", b"x,y\n5,1\n") == "registered"
    assert [row["model"] for row in pipelines.status(stack.cloud, PIPELINE)["recalls"]] == ["reviews/2"]
    for decision, told in (("Rejected", ["reviews/2"]), ("Approved", [])):
        for number, status in (("3", decision), ("1", "Approved")):
            arn = next(arn for arn in stack.cloud.registry.by_arn if arn.endswith(f"/{number}"))
            stack.cloud.registry.by_arn[arn]["ModelApprovalStatus"] = status
        assert [row["model"] for row in pipelines.status(stack.cloud, PIPELINE)["recalls"]] == told


def test_no_data_are_read_of_a_version_that_began_once_the_recall_was_done(
    stack: Hearing[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    call("reviews/bad.csv")
    stack.world.later(minutes=1)
    assert build(stack) == "registered"
    read, find = list[str](), datasets.find_manifest

    def found(*given: Any) -> Any:
        read.append(given[-1])
        return find(*given)

    monkeypatch.setattr(datasets, "find_manifest", found)
    newest, first = pipelines.status(stack.cloud, PIPELINE)["awaited"]
    assert (newest["model"], "recalled" in newest) == ("reviews/2", False)
    assert (first["model"], first["recalled"]) == ("reviews/1", ["reviews/bad.csv"])
    assert read == [stack.world.catalog_run(RUN)["dataset_version"]]


def open_recalls(stack: Hearing[World]) -> list[dict[str, Any]]:
    return recalls.recalls(stack.cloud, recalling.find(stack.cloud, PIPELINE))


def test_what_was_recalled_before_is_told_and_keeps_its_reason(stack: Hearing[World]) -> None:
    assert "recalled before" not in call("reviews/bad.csv", "-m", "consent withdrawn").stdout
    assert "it was recalled before, at 2026-" in call("reviews/bad.csv", "--dry-run").stdout
    again = call("reviews/bad.csv")
    assert "it was recalled before, at 2026-" in again.stdout
    assert ": consent withdrawn" in again.stdout
    (row,) = open_recalls(stack)
    assert row["reason"] == "consent withdrawn"


def test_with_wait_the_build_is_followed(stack: Hearing[World]) -> None:
    stack.meanwhile = lambda: build(stack)
    result = call("reviews/bad.csv", "--wait", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["run"]["run_id"] == SECOND


def test_with_wait_it_says_if_nothing_was_built(stack: Hearing[World]) -> None:
    call("reviews/bad.csv")
    assert build(stack) == "registered"
    stack.meanwhile = lambda: build(stack)
    result = call("reviews/a.csv", "--wait")
    assert "no data are left to build a model of" in result.stdout
    assert "no model was built without it: what serves stays" in result.stdout
    assert "waits for you" not in result.stderr


def test_what_never_arrived_cannot_be_recalled(stack: Hearing[World]) -> None:
    with pytest.raises(CommandError, match=r"reviews/z.csv never arrived"):
        call("reviews/z.csv")


def test_what_was_of_no_use_need_not_be_recalled(stack: Hearing[World]) -> None:
    stack.world.upload("empty.csv", b"")
    with pytest.raises(CommandError, match="was never part of any data"):
        call("reviews/empty.csv")
