"""The state machines hold together, and with the template; and the checker would notice if they did not."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import asl
from sluice.domain.release.releases import LOOKS_MAX

ROOT = Path(__file__).parents[2]
MACHINES = sorted((ROOT / "statemachines").glob("*.asl.yaml"))

SOUND: dict[str, Any] = {
    "StartAt": "Ask",
    "States": {
        "Ask": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.a", "IsNull": True, "Next": "Each"}],
            "Default": "Done",
        },
        "Each": {
            "Type": "Map",
            "ItemProcessor": {
                "StartAt": "Train",
                "States": {
                    "Train": {
                        "Type": "Task",
                        "Resource": "${Train}",
                        "TimeoutSeconds": 60,
                        "Retry": [{"ErrorEquals": ["States.ALL"]}],
                        "End": True,
                    }
                },
            },
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Failed"}],
            "Next": "Done",
        },
        "Done": {"Type": "Succeed"},
        "Failed": {"Type": "Fail"},
    },
}


def found(definition: dict[str, Any]) -> list[str]:
    return list(asl.problems(definition))


def test_there_are_state_machines() -> None:
    assert MACHINES


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.name)
def test_a_state_machine_is_sound(path: Path) -> None:
    assert found(asl.load(path)) == []


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.name)
def test_the_template_substitutes_exactly_the_placeholders(path: Path) -> None:
    substituted = asl.substitutions(asl.load_template(ROOT / "template.yaml"))
    assert asl.placeholders(asl.load(path)) == substituted[path.relative_to(ROOT).as_posix()]


def test_every_definition_of_the_template_exists() -> None:
    uris = asl.substitutions(asl.load_template(ROOT / "template.yaml"))
    assert set(uris) == {path.relative_to(ROOT).as_posix() for path in MACHINES}


def test_the_checker_accepts_a_sound_machine() -> None:
    assert found(SOUND) == []
    assert asl.placeholders(SOUND) == {"Train"}


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("StartAt",), "Nowhere", "StartAt: Nowhere is not a state"),
        (("States", "Each", "Next"), "Nowhere", "Each: Nowhere is not a state"),
        (("States", "Each", "Next"), None, "Each: has neither Next nor End"),
        (("States", "Each", "End"), True, "Each: has Next and End"),
        (("States", "Each", "Catch", 0, "Next"), "Nowhere", "Each: Nowhere is not a state"),
        (("States", "Ask", "Default"), "Nowhere", "Ask: Nowhere is not a state"),
        (("States", "Ask", "Default"), None, "Ask: has no Default"),
        (("States", "Ask", "Choices", 0, "Next"), "Nowhere", "Ask: Nowhere is not a state"),
        (("States", "Alone"), {"Type": "Succeed"}, "Alone: cannot be reached"),
        (("States", "Each", "Catch"), None, "Each/Train: has no Catch, and nothing around it has one"),
        (
            ("States", "Each", "Catch", 0, "ErrorEquals"),
            ["States.ALL", "Other"],
            "Each: Catch has States.ALL, which must be alone and last",
        ),
    ],
)
def test_the_checker_finds_a_fault(path: tuple[str | int, ...], value: Any, problem: str) -> None:
    assert problem in found(with_fault(path, value))


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("TimeoutSeconds", None, "has no TimeoutSeconds"),
        ("Retry", None, "has no Retry"),
        ("Retry", [], "has no Retry"),
        ("Next", "Done", "Done is not a state"),
        (
            "Retry",
            [{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["Other"]}],
            "Retry has States.ALL, which must be alone and last",
        ),
    ],
)
def test_the_checker_finds_a_fault_of_a_task_inside_a_map(field: str, value: Any, problem: str) -> None:
    inside = ("States", "Each", "ItemProcessor", "States", "Train", field)
    assert f"Each/Train: {problem}" in found(with_fault(inside, value))


def test_the_checker_accepts_a_timeout_by_path() -> None:
    task = copy.deepcopy(SOUND)
    train = task["States"]["Each"]["ItemProcessor"]["States"]["Train"]
    train["TimeoutSecondsPath"] = f"$.{train.pop('TimeoutSeconds')}"
    assert found(task) == []


def test_the_checker_looks_into_parallel_branches() -> None:
    machine = copy.deepcopy(SOUND)
    branch = machine["States"]["Each"].pop("ItemProcessor")
    machine["States"]["Each"] |= {"Type": "Parallel", "Branches": [branch]}
    assert found(machine) == []
    branch["States"]["Train"]["Next"] = "Nowhere"
    del branch["States"]["Train"]["End"]
    assert found(machine) == ["Each/Train: Nowhere is not a state"]


def test_a_template_is_read_with_its_tags_as_values(tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(
        "Resources:\n"
        "  Machine:\n"
        "    Type: AWS::Serverless::StateMachine\n"
        "    Properties:\n"
        "      DefinitionUri: a.asl.yaml\n"
        "      DefinitionSubstitutions:\n"
        "        One: !GetAtt Function.Arn\n"
        "        Two: !Sub [x, {y: !Ref Z}]\n"
    )
    assert asl.substitutions(asl.load_template(path)) == {"a.asl.yaml": {"One", "Two"}}


def with_fault(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """A sound machine with one value changed, or removed if it is None."""
    machine: Any = copy.deepcopy(SOUND)
    target = machine
    for key in path[:-1]:
        target = target[key]
    if value is None:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    result: dict[str, Any] = machine
    return result


def test_a_deployment_that_failed_in_an_unknown_way_is_put_back() -> None:
    """Its change of the endpoint may be under way, and would end with what nothing has tested."""
    machine = asl.load(ROOT / "statemachines" / "release_model.asl.yaml")
    stage = machine["States"]["ReleaseStages"]["ItemProcessor"]["States"]
    known, unknown = stage["DeployModel"]["Catch"]
    assert (unknown["ErrorEquals"], unknown["Next"]) == (["States.ALL"], "IsPreviousConfigKnown")
    assert known["Next"] == "StageFailed"
    assert "DeploymentRolledBackError" in known["ErrorEquals"]


def test_a_champion_that_no_job_scores_is_for_the_gates_to_judge() -> None:
    """A job of its may fail, be refused, or want an instance type whose quota is 0: so would every run."""
    machine = asl.load(ROOT / "statemachines" / "build_model.asl.yaml")
    states = machine["States"]["EvaluateModels"]["ItemProcessor"]["States"]
    for name, then in (("EvaluateModel", "IsThereAnotherWay"), ("EvaluateByItsOwnScript", "KeepUnscored")):
        (catch,) = states[name]["Catch"]
        assert set(catch["ErrorEquals"]) == {"JobFailedError", "RequestRefusedError", "QuotaTooLowError"}
        assert catch["Next"] == then
    assert states["IsThereAnotherWay"]["Choices"][0]["Next"] == "EvaluationFailed"


# ------------------------------------------------------------------------------- no history is too long

HISTORY_MAX = 25_000
# Of one attempt: scheduled, started, submitted, failed, and the wait before the next one.
EVENTS_OF_AN_ATTEMPT = 5
EVENTS_OF_A_STATE = 2
# The most rungs of successive halving, of 50 candidates halved, and how many are trained in all of them.
RUNGS = (50, 25, 12, 6, 3, 1)
# The most items that a Map gets: candidates, evaluations, stages.
ITEMS = {"TrainCandidates": sum(RUNGS), "EvaluateModels": 2, "ReleaseStages": 5}
# How often a state is passed that is not passed once: for each rung, and for each look at a shadow.
PASSES = {
    **dict.fromkeys(("SelectCandidate", "IsSelectionFinal", "PromoteCandidates"), len(RUNGS)),
    **dict.fromkeys(("CompareShadow", "IsShadowDone", "WaitForShadow"), LOOKS_MAX + 2),
}
# Retries of these are of a single pass: what they wait for is over then.
RETRIED_ONCE = {"CompareShadow"}

# What only runs pass that train no candidates, so that their histories are shorter by far.
INSTEAD_OF_TRAINING = {"RunPipeline", "RejectBuild"}


def longest_history(definition: dict[str, Any]) -> int:
    """The events of a machine whose every state is passed and retried as often as it may be."""
    events = 0
    for name, state in definition["States"].items():
        if name in INSTEAD_OF_TRAINING:
            continue
        attempts = 1 + sum(retry["MaxAttempts"] for retry in state.get("Retry", []))
        of_a_task = EVENTS_OF_AN_ATTEMPT * (state["Type"] == "Task")
        passes = PASSES.get(name, 1)
        tried = passes + attempts - 1 if name in RETRIED_ONCE else passes * attempts
        events += passes * EVENTS_OF_A_STATE + tried * of_a_task
        if state["Type"] == "Map":
            events += ITEMS[name] * (EVENTS_OF_A_STATE + longest_history(state["ItemProcessor"]))
    return events


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.name)
def test_no_history_outgrows_what_step_functions_keeps(path: Path) -> None:
    """An execution that does ends at once, in the middle of what it does, with nothing caught."""
    assert longest_history(asl.load(path)) < HISTORY_MAX


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.name)
def test_a_map_collects_names_and_not_what_they_stand_for(path: Path) -> None:
    """Whatever a Map's items return lies in one state, of 256 kB; so do the causes that they caught."""
    for state in asl.load(path)["States"].values():
        if state["Type"] == "Map":
            for inner in state["ItemProcessor"]["States"].values():
                if inner["Type"] == "Pass":
                    assert "Cause" not in str(inner.get("Parameters"))


# ------------------------------------------------------------------------------- which faults may pass

# What the function says that waiting may cure, and what Lambda may answer once and not again.
TRANSIENT = [
    "TransientError",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
]
# The function's process ended, or nobody heard of its end: by a fault of the host, or by what it was given.
# So, twice at most.
SANDBOX = [
    "Runtime.ExitError",
    "Runtime.OutOfMemory",
    "Sandbox.Timedout",
    "Lambda.Unknown",
    "Lambda.ClientExecutionTimeoutException",
]
RETRIES: list[dict[str, Any]] = [
    {
        "ErrorEquals": TRANSIENT,
        "IntervalSeconds": 2,
        "MaxAttempts": 4,
        "BackoffRate": 2,
        "JitterStrategy": "FULL",
    },
    {"ErrorEquals": SANDBOX, "IntervalSeconds": 5, "MaxAttempts": 2, "BackoffRate": 2},
]


def tasks(definition: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in definition["States"].items():
        if state["Type"] == "Task":
            yield name, state
        if state["Type"] == "Map":
            yield from tasks(state["ItemProcessor"])


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.name)
def test_every_task_retries_the_same_faults_alike(path: Path) -> None:
    known = {error for retry in RETRIES for error in retry["ErrorEquals"]}
    for name, state in tasks(asl.load(path)):
        common = [retry for retry in state["Retry"] if known & set(retry["ErrorEquals"])]
        assert common == RETRIES, name
