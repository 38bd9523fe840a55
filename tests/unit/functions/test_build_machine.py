"""`build_model` as it is deployed: what it does when a function dies, is throttled, fails or never answers.

The machine itself plays each scenario, and copies of it that are broken at one place, which must not pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fakes
import inline
from build_world import Invoke, World
from machines import Crash, Throttled, break_at, interfere

FUNCTIONS = (
    "snapshot_dataset",
    "validate_data",
    "select_candidate",
    "check_gates",
    "register_model",
    "finish_run",
)
JOBS = ("prepare", "train-0", "evaluate-candidate")
Scenario = Callable[[World], None]


def registers(world: World) -> None:
    assert world.build("a.csv") == "registered"
    assert world.execution["status"] == "SUCCEEDED"
    states = inline.entered(world.execution)
    assert states.count("TrainCandidate") == 2
    assert states[-3:] == ["RegisterModel", "AcceptModel", "FinishRun"]


def rejects_bad_data(world: World) -> None:
    assert world.build("a.csv", b"x,y\n1000,0\n") == "data_rejected"
    assert world.execution["status"] == "SUCCEEDED"
    assert "PrepareData" not in inline.entered(world.execution)


def skips_what_was_built(world: World) -> None:
    registers(world)
    world.later(hours=2)
    assert world.build("a.csv") == "skipped"
    assert "ValidateData" not in inline.entered(world.execution)


def rejects_a_worse_model(world: World) -> None:
    world.accuracies["evaluate-candidate"] = 0.1
    assert world.build("a.csv") == "rejected"
    assert world.catalog_run()["reasons"]
    assert not world.cloud.registry.by_arn


def goes_on_without_a_candidate(world: World) -> None:
    world.failing = {"train-0"}
    registers(world)


def fails_without_prepared_data(world: World) -> None:
    world.failing = {"prepare"}
    fails(world, "JobFailedError")


def fails_without_an_evaluation(world: World) -> None:
    world.failing = {"evaluate-candidate"}
    fails(world, "JobFailedError")


def fails(world: World, error: str) -> None:
    assert world.build("a.csv") == "failed"
    assert (world.execution["status"], world.execution["error"]) == ("FAILED", error)
    assert world.pipeline.get("in_flight") is None


def survives(function: str, only: str = "") -> Scenario:
    """A function whose process dies, and that is throttled then."""

    def scenario(world: World) -> None:
        died = interfere(world, function, Crash, only=only)
        throttled = interfere(world, function, Throttled, only=only)
        registers(world)
        assert (len(died), len(throttled)) == (1, 1)

    return scenario


def fails_for_good(function: str, only: str = "") -> Scenario:
    def scenario(world: World) -> None:
        interfere(world, function, ValueError, only=only)
        fails(world, "ValueError")

    return scenario


def waits_for(error: str, step: str, at_least_s: float) -> Scenario:
    """What a job's start is retried for."""

    def scenario(world: World) -> None:
        began = world.cloud.now.at
        failures = interfere(world, "start_job", type(error, (Exception,), {}), times=5, only=step)
        registers(world)
        assert len(failures) == 5
        assert inline.seconds_between(began, world.cloud.now.at) >= at_least_s

    return scenario


def gives_up_a_job_that_nobody_ends(world: World) -> None:
    world.cloud.jobs.end = lambda *given, **described: None  # type: ignore[method-assign]
    fails(world, "States.Timeout")


SCENARIOS: dict[str, Scenario] = {
    "registers": registers,
    "rejects bad data": rejects_bad_data,
    "skips what was built": skips_what_was_built,
    "rejects a worse model": rejects_a_worse_model,
    "goes on without a candidate": goes_on_without_a_candidate,
    "fails without prepared data": fails_without_prepared_data,
    "fails without an evaluation": fails_without_an_evaluation,
    **{f"{name} dies": survives(name) for name in FUNCTIONS},
    **{f"{name} fails": fails_for_good(name) for name in FUNCTIONS},
    **{f"start_job dies at {step}": survives("start_job", step) for step in JOBS},
    **{f"start_job fails at {step}": fails_for_good("start_job", step) for step in JOBS},
    "the role is not ready": waits_for("RoleNotReadyError", "prepare", 25),
    **{f"a quota is taken at {step}": waits_for("QuotaTakenError", step, 700) for step in JOBS},
    "nobody ends a job": gives_up_a_job_that_nobody_ends,
}


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke, judged_once: None) -> World:
    world = World(cloud, invoke)
    world.push()
    return world


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_build_as_it_is_deployed(world: World, scenario: str) -> None:
    SCENARIOS[scenario](world)


@pytest.mark.parametrize(
    ("path", "value", "scenario"),
    [
        ("ValidateData/Next", "PrepareData", "rejects bad data"),
        ("IsDatasetNew/Default", "ValidateData", "skips what was built"),
        ("IsModelBetter/Default", "RegisterModel", "rejects a worse model"),
        ("SelectCandidate/Next", "CheckGates", "registers"),
        ("SelectCandidate/Next", "Nowhere", "registers"),
        ("SelectCandidate/ResultPath", "$.other", "registers"),
        ("PrepareData/Catch", None, "fails without prepared data"),
        ("PrepareData/Retry", None, "the role is not ready"),
        ("PrepareData/TimeoutSeconds", None, "nobody ends a job"),
        ("RegisterModel/Retry", None, "register_model dies"),
        ("TrainCandidates/TrainCandidate/Catch", None, "goes on without a candidate"),
        ("TrainCandidates/TrainCandidate/Retry", None, "a quota is taken at train-0"),
        ("TrainCandidates/Catch", None, "start_job fails at train-0"),
        ("EvaluateModels/EvaluationFailed/Type", "Succeed", "fails without an evaluation"),
    ],
)
def test_a_broken_copy_does_not_pass(world: World, path: str, value: Any, scenario: str) -> None:
    break_at(world.definition, path, value)
    with pytest.raises(AssertionError):
        SCENARIOS[scenario](world)


def test_what_tests_start_a_job_with_is_what_the_machine_does(world: World) -> None:
    registers(world)
    started = [payload for function, payload in world.sent if function == "start_job"]
    assert [payload["step"] for payload in started] == ["prepare", "train-0", "train-1", "evaluate-candidate"]
    for payload in started:
        own = ("step", "model_uri", "script_version", "image")
        given = {name: payload[name] for name in own if name in payload}
        assert payload == {**world.job_task(**given), "task_token": payload["task_token"]}
