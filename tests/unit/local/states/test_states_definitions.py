"""What Step Functions says of a definition before it stores it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice_local.states.definitions import problems, refusal

PASS = {"Type": "Pass", "End": True}
TASK = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}


def machine(**states: Any) -> dict[str, Any]:
    return {"StartAt": next(iter(states)), "States": states}


def said(definition: Any) -> list[str]:
    return [str(problem) for problem in problems(json.dumps(definition))]


@pytest.mark.parametrize(
    "definition",
    [
        machine(A=PASS),
        machine(A={"Type": "Pass", "Next": "B"}, B={"Type": "Succeed"}),
        machine(A={"Type": "Fail"}),
        machine(A={**TASK, "TimeoutSeconds": 3, "Retry": [{"ErrorEquals": ["States.ALL"]}]}),
        machine(
            A={"Type": "Choice", "Choices": [{"Variable": "$.a", "IsPresent": True, "Next": "B"}]}, B=PASS
        ),
        machine(A={**TASK, "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "B"}]}, B=PASS),
        machine(A={"Type": "Map", "ItemProcessor": machine(B=PASS), "End": True}),
        machine(A={"Type": "Parallel", "Branches": [machine(B=PASS), machine(B=PASS)], "End": True}),
    ],
    ids=lambda definition: json.dumps(definition["States"]),
)
def test_a_definition_that_runs_is_stored(definition: dict[str, Any]) -> None:
    assert said(definition) == []
    assert refusal(json.dumps(definition)) is None


# As AWS answered the people who reported it:
# https://github.com/localstack/localstack/issues/11978, https://github.com/floci-io/floci/pull/2786.
@pytest.mark.parametrize(
    ("definition", "found"),
    [
        (
            machine(pass1={"Type": "Pass", "Next": "pass3"}, pass2=PASS),
            [
                "MISSING_TRANSITION_TARGET: Missing 'Next' target: pass3 at /States/pass1/Next",
                'MISSING_TRANSITION_TARGET: State "pass2" is not reachable. at /States/pass2',
            ],
        ),
        (
            machine(A={"Type": "Pass", "Next": "B"}, B={"Type": "Pass", "Next": "A"}),
            ["MISSING_END_STATE: Workflow has no terminal state at null"],
        ),
        (
            machine(A={"Type": "Pass", "Next": "NOPE"}),
            [
                "MISSING_TRANSITION_TARGET: Missing 'Next' target: NOPE at /States/A/Next",
                "MISSING_END_STATE: Workflow has no terminal state at null",
            ],
        ),
        (
            machine(A={**TASK, "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "NOPE"}]}),
            ["MISSING_TRANSITION_TARGET: Missing 'Next' target: NOPE at /States/A/Catch[0]/Next"],
        ),
        (
            machine(A={"Type": "Choice", "Choices": [{"Next": "NOPE"}], "Default": "B"}, B=PASS),
            ["MISSING_TRANSITION_TARGET: Missing 'Next' target: NOPE at /States/A/Choices[0]/Next"],
        ),
        (
            machine(M={"Type": "Map", "TimeoutSeconds": 3, "ItemProcessor": machine(B=PASS), "End": True}),
            ["SCHEMA_VALIDATION_FAILED: Field 'TimeoutSeconds' is not supported at /States/M"],
        ),
        (
            machine(A={**PASS, "Catch": []}),
            ["SCHEMA_VALIDATION_FAILED: Field 'Catch' is not supported at /States/A"],
        ),
    ],
)
def test_what_aws_refuses_is_refused_in_its_words(definition: dict[str, Any], found: list[str]) -> None:
    assert said(definition) == found


@pytest.mark.parametrize(
    ("definition", "place"),
    [
        ([], "/"),
        ({}, "/"),
        ({"StartAt": "A", "States": {}}, "/States"),
        ({"StartAt": "A", "States": {"A": "Pass"}}, "/States/A"),
        (machine(A={"Type": "Sleep"}), "/States/A/Type"),
        (machine(A={"Type": "Pass"}), "/States/A"),
        (machine(A={"Type": "Task", "End": True}), "/States/A"),
        (machine(A={"Type": "Map", "End": True}), "/States/A"),
        (
            machine(A={"Type": "Map", "ItemProcessor": machine(B={"Type": "x"}), "End": True}),
            "/States/A/ItemProcessor/States/B/Type",
        ),
        (
            machine(A={"Type": "Parallel", "Branches": [machine(B=PASS), {}], "End": True}),
            "/States/A/Branches[1]",
        ),
    ],
)
def test_what_breaks_the_schema_is_named_by_its_place(definition: Any, place: str) -> None:
    (problem,) = problems(json.dumps(definition))
    assert (problem.code, problem.location) == ("SCHEMA_VALIDATION_FAILED", place)


def test_a_machine_inside_of_another_is_followed_too() -> None:
    inner = machine(B={"Type": "Pass", "Next": "C"}, D=PASS)
    found = said(machine(A={"Type": "Map", "ItemProcessor": inner, "End": True}))
    assert found == [
        "MISSING_TRANSITION_TARGET: Missing 'Next' target: C at /States/A/ItemProcessor/States/B/Next",
        'MISSING_TRANSITION_TARGET: State "D" is not reachable. at /States/A/ItemProcessor/States/D',
    ]


def test_what_is_no_json_is_refused() -> None:
    assert str(refusal("{not json")).startswith(
        "Invalid State Machine Definition: 'INVALID_JSON_DESCRIPTION: "
    )
