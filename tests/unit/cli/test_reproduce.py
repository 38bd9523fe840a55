"""`sluice reproduce` says whether a model comes out again, and which input cannot be had."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

import fakes
from build_world import PIPELINE, RUN, Invoke, World
from command_world import Hearing
from sluice.services.data import datasets
from sluice_cli import log_streams, lookup, main, options
from sluice_cli.errors import CommandError

SECOND = "reviews-00002"


@pytest.fixture
def stack(cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> Hearing[World]:
    world = World.of_registered_model(cloud, invoke)
    stack = Hearing(world, "RunRequested", "start_run")
    stack.meanwhile = lambda: world.play(SECOND)
    monkeypatch.setattr(options.Options, "target", lambda self: stack)
    monkeypatch.setattr(log_streams, "step_log", lambda target, step: ["the last line"])
    monkeypatch.setattr(lookup, "model_arn", lambda *_: world.catalog_run()["model_package_arn"])
    return stack


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main.app, ["reproduce", "reviews/1", *arguments], catch_exceptions=False)


def test_a_reproduced_model_exits_with_0_and_is_told(stack: Hearing[World]) -> None:
    result = call()
    assert result.exit_code == 0
    assert f"reproduced reviews/1 by {SECOND}" in result.stdout
    assert "every metric is within 0.01" in result.stdout


def test_a_model_that_differs_exits_with_3(stack: Hearing[World]) -> None:
    stack.world.accuracies["evaluate-candidate"] = 0.8
    result = call("--json")
    assert result.exit_code == 3
    found = json.loads(result.stdout)
    assert found["comparison"]["verdict"] == "differed"
    assert found["reproduces"] == RUN
    assert found["run"]["status"] == "differed"


@pytest.mark.parametrize(("again", "told"), [(0.8453124567, "0.8453"), (0.85000001, "0.85000001")])
def test_metrics_are_shown_in_four_digits_or_as_many_as_tell_them_apart(
    stack: Hearing[World], again: float, told: str
) -> None:
    stack.world.accuracies["evaluate-candidate"] = again
    (row,) = (line.split() for line in call().stdout.splitlines() if line.startswith("accuracy"))
    assert row == ["accuracy", "0.85", told, "yes"]


def test_a_tolerance_is_the_callers(stack: Hearing[World]) -> None:
    stack.world.accuracies["evaluate-candidate"] = 0.8
    assert call("--tolerance", "0.1").exit_code == 0


def test_a_run_that_fails_exits_with_1_and_shows_its_log(stack: Hearing[World]) -> None:
    stack.world.failing = {"prepare"}
    result = call()
    assert result.exit_code == 1
    assert "the last line" in result.stdout


def test_without_waiting_it_is_started_and_named(stack: Hearing[World]) -> None:
    stack.meanwhile = lambda: None
    result = call("--no-wait")
    assert result.exit_code == 0
    assert f"started {SECOND} (reproduction of {RUN})" in result.stdout


def test_an_input_that_cannot_be_had_is_named_and_nothing_starts(stack: Hearing[World]) -> None:
    del stack.cloud.objects.buckets[fakes.DATA_BUCKET]["reviews/a.csv"]
    result = call()
    assert result.exit_code == 3
    assert "gone object reviews/a.csv: version v1 was deleted" in result.stdout
    assert "nothing was started" in result.stdout
    assert stack.world.pipeline["build_seq"] == 1
    (missing,) = json.loads(call("--json").stdout)["missing"]
    assert (missing["kind"], missing["name"], missing["condition"]) == ("object", f"{PIPELINE}/a.csv", "gone")


def test_recalled_data_cannot_be_had_either(stack: Hearing[World]) -> None:
    world = stack.world
    (held,) = datasets.find_manifest(world.cloud, PIPELINE, world.catalog_run()["dataset_version"]).objects
    detail = {
        **{"stack": "sluice", "pipeline": PIPELINE, "key": held.key, "contents": [held.sha256]},
        **{"request_id": "r1", "actor": "ada", "reason": "consent withdrawn"},
    }
    world.invoke("recall_data", {"time": world.cloud.now.at, "detail": detail})
    with pytest.raises(CommandError, match=r"holds recalled data: reviews/a\.csv") as refused:
        call()
    assert (refused.value.exit_code, refused.value.hint) == (3, "Nothing was started.")
