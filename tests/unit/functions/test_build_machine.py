"""`build_model` as it is deployed: what it does when a function dies, is throttled, fails or never answers.

The machine itself plays each scenario, and copies of it that are broken at one place, which must not pass.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError

import fakes
import inline
from build_world import PIPELINE_YAML, RUN, Invoke, World
from machines import Crash, Throttled, break_at, interfere
from sluice.catalog import keys
from sluice.domain.build import projects
from sluice.domain.data import segments
from sluice.ports import JobKind
from sluice.quality import part_results
from sluice.services.data import segment_readings

FUNCTIONS = (
    "snapshot_dataset",
    "validate_data",
    "select_candidate",
    "check_gates",
    "register_model",
    "finish_run",
)
SECOND = "reviews-00002"
JOBS = ("prepare", "train-0", "evaluate-candidate")
ON_SAGEMAKER = PIPELINE_YAML.replace(
    "  script: src/train.py", "  script: src/train.py\n  compute: {backend: sagemaker}"
)
for _script in ("prepare", "evaluate"):
    ON_SAGEMAKER = ON_SAGEMAKER.replace(
        f"src/{_script}.py}}", f"src/{_script}.py, compute: {{backend: sagemaker}}}}"
    )
Scenario = Callable[[World], None]
VALID = {"Variable": "$.validation.is_valid", "BooleanEquals": True}
ANY = {"ErrorEquals": ["States.ALL"]}


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


def reads_on_where_data_are_more_than_one_invocation_reads(world: World) -> None:
    """Three segments of an object each, of which an invocation has time for one; one dies."""
    failures = interfere(world, "validate_data", Crash, times=1)
    with (
        mock.patch.object(segments, "OBJECTS_MAX", 1),
        mock.patch.object(part_results, "OBJECTS_MAX", 1),
        mock.patch.object(segment_readings.Readings, "has_time", lambda reading, _: not reading.objects),
    ):
        world.upload("b.csv", b"x,y\n3,1\n")
        world.upload("c.csv", b"x,y\n4,1\n")
        registers(world)
    assert len(failures) == 1
    assert inline.entered(world.execution).count("IsDataValid") == 3
    assert world.dataset(str(world.pipeline["dataset_version"]))["rows"] == 4


def skips_what_was_built(world: World) -> None:
    registers(world)
    world.later(hours=2)
    assert world.build("a.csv") == "skipped"
    assert world.catalog_run(SECOND)["reasons"] == [
        "this project version came to a verdict on this data before"
    ]
    assert "ValidateData" not in inline.entered(world.execution)


def rejects_a_worse_model(world: World) -> None:
    world.accuracies["evaluate-candidate"] = 0.1
    assert world.build("a.csv") == "rejected"
    assert world.catalog_run()["reasons"]
    assert not world.cloud.registry.by_arn


def goes_on_without_a_candidate(world: World) -> None:
    world.failing = {"train-0"}
    registers(world)


HALVING = (
    "candidates: {strategy: halving, space: {alpha: {min: 0, max: 1}}, max_candidates: 4,"
    " objective: accuracy, budget: {hyperparameter: epochs, min: 1, max: 4}, reduction_factor: 2}"
)


def halves(world: World) -> None:
    """Four candidates with one epoch, the best two with two, and the better one of them with four."""
    push_halving(world)
    world.accuracies |= {f"train-{index}": value for index, value in enumerate((0.5, 0.8, 0.9, 0.6))}
    world.accuracies |= {"train-1-r1": 0.9, "train-2-r1": 0.7, "train-1-r2": 0.65}
    registers_after(world, ["0", "1", "2", "3", "1-r1", "2-r1", "1-r2"])
    assert chosen(world)["step"] == "train-1-r2"


def halves_on_without_a_candidate(world: World) -> None:
    """All but one fail at first: that one goes on alone, and where it fails too its first model counts."""
    push_halving(world)
    world.accuracies |= {f"train-{index}": 0.5 for index in range(4)}
    world.failing = {"train-0", "train-1", "train-3", "train-2-r1"}
    registers_after(world, ["0", "1", "2", "3", "2-r1"])
    assert chosen(world)["step"] == "train-2"


def trains_three_of_five(world: World, pipeline: str, most_usd: float) -> None:
    """A fourth candidate would cost more than may be spent."""
    text = pipeline.replace("[0.1, 0.2]", "[1, 2, 3, 4, 5]")
    world.push(pipeline=text.replace("objective", f"max_cost_usd: {most_usd}, objective").encode())
    world.accuracies |= {f"train-{index}": 0.8 for index in range(5)}
    assert world.build("a.csv") == "registered"
    statuses = [world.step(f"train-{index}")["status"] for index in range(5)]
    assert statuses == ["Completed"] * 3 + ["Failed"] * 2


def trains_no_more_than_may_be_spent(world: World) -> None:
    """Each job takes five minutes of an instance, for about a cent."""
    trains_three_of_five(world, ON_SAGEMAKER, 0.035)
    why = world.step("train-3")["failure_reason"]
    assert why == (
        "not trained: one more would make candidates cost about $0.04, more than max_cost_usd, $0.04"
    )
    assert "sluice--reviews-00001-train-3" not in world.cloud.jobs.requests


def trains_no_more_on_lambda_than_may_be_spent(world: World) -> None:
    """Whatever is made beside a candidate's record: its own request is no job that was started before."""
    world.cloud.lambda_jobs.largest_mb = 3008
    trains_three_of_five(world, PIPELINE_YAML, 0.0012)
    refused = {f"sluice--reviews-00001-train-{index}" for index in (3, 4)}
    assert world.cloud.lambda_jobs.requests.keys().isdisjoint(refused)
    assert not any("is being stopped" in event for event in world.events())


def fails_without_any_candidate(world: World) -> None:
    world.failing = {"train-0", "train-1"}
    fails(world, "NoCandidateError")
    (reason,) = world.catalog_run()["reasons"]
    assert reason == "NoCandidateError: train-0, train-1 Failed: cannot load the model"


def push_halving(world: World) -> None:
    grid = "candidates: {space: {alpha: [0.1, 0.2]}, objective: accuracy}"
    world.push(pipeline=PIPELINE_YAML.replace(grid, HALVING).encode())


def registers_after(world: World, candidates: list[str]) -> None:
    assert world.build("a.csv") == "registered"
    steps = [payload["step"] for function, payload in world.sent if function == "start_job"]
    assert steps == ["prepare", *(f"train-{name}" for name in candidates), "evaluate-candidate"]
    for name in candidates:
        index, _, rung = name.partition("-r")
        detail = world.step(f"train-{name}")["detail"]
        assert detail["epochs"] == str(2 ** int(rung or 0))
        assert detail["alpha"] == world.step(f"train-{index}")["detail"]["alpha"]


def chosen(world: World) -> dict[str, Any]:
    (payload,) = [payload for function, payload in world.sent if function == "register_model"]
    candidate: dict[str, Any] = payload["candidate"]
    return candidate


def fails_without_prepared_data(world: World) -> None:
    world.failing = {"prepare"}
    fails(world, "JobFailedError")


def fails_without_an_evaluation(world: World) -> None:
    world.failing = {"evaluate-candidate"}
    fails(world, "JobFailedError")


def fails(world: World, error: str) -> None:
    assert world.build("a.csv") == "failed"
    assert (world.execution["status"], world.execution["error"]) == ("FAILED", error)
    assert world.catalog_run()["reasons"][0]
    assert world.pipeline.get("in_flight") is None


def with_a_champion(world: World) -> None:
    """Its project has another image by now, so that it is known whose script scores it."""
    registers(world)
    world.release()
    world.later(hours=1)
    world.push(pipeline=PIPELINE_YAML.replace("1.4-2", "1.2-1").encode())


def scores_the_champion(world: World) -> None:
    with_a_champion(world)
    world.accuracies["evaluate-champion"] = 0.95
    assert world.build("b.csv") == "rejected"
    newest = world.pipeline["project_version"]
    evaluates(world, "candidate", image="1.2-1", model_of=SECOND, script=newest)
    evaluates(world, "champion", image="1.4-2", model_of=RUN, script=newest)


def evaluates(world: World, role: str, *, image: str, model_of: str, script: str) -> None:
    request = world.request(f"sluice--{SECOND}-evaluate-{role}")
    assert image in request["AppSpecification"]["ImageUri"]
    code, *inputs = (each["S3Input"]["S3Uri"] for each in request["ProcessingInputs"])
    assert script in code
    pinned = hashlib.sha256(projects.pack({"model": f"{model_of}train-1".encode()})).hexdigest()
    assert any(pinned in uri or f"{model_of}-train-1" in uri for uri in inputs)


def has_its_own_script_score_the_champion(world: World) -> None:
    """Though that dies at first, and the account's quota is taken."""
    with_a_champion(world)
    world.failing = {"evaluate-champion"}
    world.accuracies["evaluate-champion-own"] = 0.95
    for error in (Crash, Throttled, type("QuotaTakenError", (Exception,), {})):
        interfere(world, "start_job", error, only="evaluate-champion-own")
    assert world.build("b.csv") == "rejected"
    gates = world.cloud.catalog.get(keys.step_key(SECOND, "gates")) or {}
    assert gates["detail"][1]["champion"] == 0.95
    first = str(world.catalog_run(RUN)["project_version"])
    evaluates(world, "champion-own", image="1.4-2", model_of=RUN, script=first)


def rejects_what_no_champion_can_be_held_against(world: World) -> None:
    with_a_champion(world)
    world.failing = {"evaluate-champion", "evaluate-champion-own"}
    assert world.build("b.csv") == "rejected"
    assert "KeepUnscored" in inline.entered(world.execution)


def tries_the_champion_once(world: World) -> None:
    """Where its own project's script is the one that failed."""
    registers(world)
    world.release()
    world.later(hours=1)
    world.failing = {"evaluate-champion"}
    assert world.build("b.csv", b"x,y\n3,1\n") == "rejected"
    assert inline.entered(world.execution).count("EvaluateByItsOwnScript") == 0


def refused(code: str, times: int, monkeypatch: pytest.MonkeyPatch, world: World) -> list[str]:
    """Let SageMaker refuse to create jobs, so many times; what it refused."""
    start = world.cloud.jobs.start
    refusals: list[str] = []

    def refuse(kind: JobKind, request: Mapping[str, Any]) -> bool:
        if len(refusals) < times:
            refusals.append(kind)
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "CreateJob")
        return start(kind, request)

    monkeypatch.setattr(world.cloud.jobs, "start", refuse)
    return refusals


def says_so_though_it_dies_meanwhile(world: World) -> None:
    for error in (Crash, Throttled):
        interfere(world, "finish_run", error)
    fails_without_prepared_data(world)


def ends_when_nothing_can_be_said(world: World) -> None:
    """The execution's own end is an event, which comes to the same function."""
    world.failing = {"prepare"}
    interfere(world, "finish_run", KeyError, times=9)
    assert world.build("a.csv") == "running"
    assert (world.execution["status"], world.execution["error"]) == ("FAILED", "JobFailedError")


def registers_on_lambda(world: World) -> None:
    """From beginning to end, with the packages that its manifest lists."""
    world.cloud.lambda_jobs.largest_mb = 3008
    registers(world)
    assert world.cloud.jobs.requests == {}
    assert len(world.cloud.lambda_jobs.requests) == 4
    (described,) = json.loads(world.cloud.objects.read(world.catalog_run()["manifest_uri"]))["environments"]
    assert described["environment"] == world.step("prepare")["environment"]
    assert described["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert described["packages"] == {"scikit-learn": "1.4.2"}


def builds_packages_once(world: World) -> None:
    registers(world)
    assert inline.entered(world.execution).count("BuildEnvironment") == 1
    world.later(hours=1)
    assert world.build("b.csv", b"x,y\n3,1\n") in ("registered", "rejected")
    assert inline.entered(world.execution).count("BuildEnvironment") == 0
    assert len(world.cloud.packages.built) == 1


def builds_no_packages_for_sagemaker(world: World) -> None:
    compute = "compute: {backend: sagemaker}"
    pipeline = PIPELINE_YAML.replace("{script: src/prepare.py}", f"{{script: src/prepare.py, {compute}}}")
    pipeline = pipeline.replace("{script: src/evaluate.py}", f"{{script: src/evaluate.py, {compute}}}")
    world.push(pipeline=pipeline.replace("train:\n", f"train:\n  {compute}\n").encode())
    registers(world)
    assert inline.entered(world.execution).count("BuildEnvironment") == 0


def goes_on_without_packages(world: World) -> None:
    """Its jobs run on SageMaker then."""
    interfere(world, "build_environment", ValueError, times=9)
    registers(world)
    world.later(hours=1)
    world.cloud.packages.problem = "scikit-learn 1.4.2 has no wheel"
    assert world.build("b.csv", b"x,y\n3,1\n") in ("registered", "rejected")


def waits_for_who_builds_its_packages(world: World) -> None:
    began = world.cloud.now.at
    error = type("EnvironmentBuildingError", (Exception,), {})
    assert len(interfere(world, "build_environment", error, times=50)) == 0
    registers(world)
    assert inline.seconds_between(began, world.cloud.now.at) >= 100
    assert len(world.cloud.packages.built) == 1


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
    for backend in (world.cloud.jobs, world.cloud.lambda_jobs):
        backend.end = lambda *given, **described: None  # type: ignore[method-assign]
    fails(world, "States.Timeout")


SCENARIOS: dict[str, Scenario] = {
    "registers": registers,
    "rejects bad data": rejects_bad_data,
    "reads on": reads_on_where_data_are_more_than_one_invocation_reads,
    "skips what was built": skips_what_was_built,
    "rejects a worse model": rejects_a_worse_model,
    "goes on without a candidate": goes_on_without_a_candidate,
    "halves": halves,
    "halves on without a candidate": halves_on_without_a_candidate,
    "trains no more than may be spent": trains_no_more_than_may_be_spent,
    "trains no more on Lambda than may be spent": trains_no_more_on_lambda_than_may_be_spent,
    "fails without any candidate": fails_without_any_candidate,
    "fails without prepared data": fails_without_prepared_data,
    "fails without an evaluation": fails_without_an_evaluation,
    **{f"{name} dies": survives(name) for name in FUNCTIONS},
    **{f"{name} fails": fails_for_good(name) for name in FUNCTIONS},
    **{f"start_job dies at {step}": survives("start_job", step) for step in JOBS},
    **{f"start_job fails at {step}": fails_for_good("start_job", step) for step in JOBS},
    "the role is not ready": waits_for("RoleNotReadyError", "prepare", 25),
    **{f"a quota is taken at {step}": waits_for("QuotaTakenError", step, 700) for step in JOBS},
    "nobody ends a job": gives_up_a_job_that_nobody_ends,
    "registers on Lambda": registers_on_lambda,
    "builds packages once": builds_packages_once,
    "builds no packages for SageMaker": builds_no_packages_for_sagemaker,
    "build_environment dies": survives("build_environment"),
    "goes on without packages": goes_on_without_packages,
    "waits for who builds its packages": waits_for_who_builds_its_packages,
    "scores the champion": scores_the_champion,
    "has its own script score the champion": has_its_own_script_score_the_champion,
    "rejects what no champion can be held against": rejects_what_no_champion_can_be_held_against,
    "tries the champion once": tries_the_champion_once,
    "says so though it dies meanwhile": says_so_though_it_dies_meanwhile,
    "ends when nothing can be said": ends_when_nothing_can_be_said,
}


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
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
        ("IsDataValid/Choices", [{**VALID, "Next": "PrepareData"}], "reads on"),
        ("IsDataValid/Choices", [{**VALID, "Next": "BuildEnvironment"}], "builds packages once"),
        ("IsDataValid/Choices", [{**VALID, "Next": "PrepareData"}], "builds packages once"),
        ("BuildEnvironment/Catch", [{**ANY, "Next": "FinishFailedRun"}], "goes on without packages"),
        ("BuildEnvironment/Retry", [{**ANY, "MaxAttempts": 3}], "waits for who builds its packages"),
        ("BuildEnvironment/Next", "FinishFailedRun", "registers"),
        ("BuildEnvironment/ResultPath", "$", "registers"),
        ("IsDatasetNew/Default", "ValidateData", "skips what was built"),
        ("IsModelBetter/Default", "RegisterModel", "rejects a worse model"),
        ("SelectCandidate/Next", "CheckGates", "registers"),
        ("SelectCandidate/Next", "Nowhere", "registers"),
        ("SelectCandidate/Next", "EvaluateModels", "halves"),
        ("PromoteCandidates/Next", "EvaluateModels", "halves"),
        ("PromoteCandidates/InputPath", "$.selected.is_final", "halves"),
        ("IsSelectionFinal/Default", "PromoteCandidates", "registers"),
        ("SelectCandidate/ResultPath", "$.other", "registers"),
        ("PrepareData/Catch", None, "fails without prepared data"),
        ("PrepareData/Retry", None, "the role is not ready"),
        ("PrepareData/TimeoutSeconds", None, "nobody ends a job"),
        ("RegisterModel/Retry", None, "register_model dies"),
        ("TrainCandidates/TrainCandidate/Catch", None, "goes on without a candidate"),
        ("TrainCandidates/TrainCandidate/Retry", None, "a quota is taken at train-0"),
        ("EvaluateModels/EvaluateModel/Catch", None, "has its own script score the champion"),
        ("EvaluateModels/EvaluateByItsOwnScript/Catch", None, "rejects what no champion can be held against"),
        ("EvaluateModels/IsThereAnotherWay/Default", "EvaluationFailed", "tries the champion once"),
        ("FinishFailedRun/Retry", None, "says so though it dies meanwhile"),
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


def test_what_waiting_cures_is_tried_again_and_a_missing_permission_is_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.push(pipeline=ON_SAGEMAKER.encode())
    with monkeypatch.context() as patched:
        refusals = refused("ThrottlingException", 3, patched, world)
        registers(world)
        assert len(refusals) == 3
    world.later(hours=1)
    began = world.cloud.now.at
    refusals = refused("AccessDeniedException", 9, monkeypatch, world)
    world.upload("b.csv", b"x,y\n3,1\n")
    world.later(minutes=2)
    world.ask()
    assert world.play(SECOND) == "failed"
    assert len(refusals) == 1
    assert inline.seconds_between(began, world.cloud.now.at) == 120
