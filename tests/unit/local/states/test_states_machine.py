"""Machines in virtual time: what follows what, retries, catches, timeouts, maps, redrives."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inline import Inline, entered, new_execution, run
from sluice_local.states import history
from sluice_local.states.errors import ExecutionError
from sluice_local.states.history import End
from sluice_local.states.scope import StopScope
from sluice_local.states.tokens import pending

State = dict[str, Any]
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:f"
INVOKE = "arn:aws:states:::lambda:invoke"


def task(**fields: Any) -> State:
    return {"Type": "Task", "Resource": FUNCTION, "End": True, **fields}


def callback(**fields: Any) -> State:
    return task(Resource=f"{INVOKE}.waitForTaskToken", Parameters={"token.$": "$$.Task.Token"}, **fields)


def machine(states: dict[str, State], **fields: Any) -> dict[str, Any]:
    return {"StartAt": next(iter(states)), "States": states, **fields}


def each(*names_and_states: Any, **fields: Any) -> dict[str, Any]:
    states = dict(names_and_states)
    return machine({"Each": {"Type": "Map", "ItemProcessor": machine(states), "End": True, **fields}})


def failing(*errors: str | None) -> Any:
    """A resource that fails with one error after the other, and answers where there is None."""
    left = list(errors)

    def answer(task_input: Any, token: str) -> Any:
        error = left.pop(0)
        if error is not None:
            raise ExecutionError(error, "because")
        return {"got": task_input}

    return answer


def output(execution: Any) -> Any:
    assert execution["status"] == "SUCCEEDED", execution
    return json.loads(execution["output"])


def test_a_task_takes_parameters_and_puts_its_result_into_the_input() -> None:
    outside = Inline({FUNCTION: lambda task_input, token: {"got": task_input}})
    state = task(Parameters={"n.$": "$.n", "run.$": "$$.Execution.Name"}, ResultPath="$.result")
    ended = run(machine({"Call": state}), {"n": 1, "m": 2}, outside)
    assert output(ended) == {"n": 1, "m": 2, "result": {"got": {"n": 1, "run": "run"}}}


def test_a_retry_waits_in_virtual_time_and_grows() -> None:
    retrier = {"ErrorEquals": ["Busy"], "IntervalSeconds": 600, "BackoffRate": 2, "MaxAttempts": 3}
    outside = Inline({FUNCTION: failing("Busy", "Busy", None)})
    assert output(run(machine({"Call": task(Retry=[retrier])}), 1, outside)) == {"got": 1}
    assert outside.elapsed_s == 600 + 1200


@pytest.mark.parametrize(
    ("error", "states"),
    [("JobFailed", ["Call", "Kept"]), ("Other", ["Call", "Rest"]), ("States.Runtime", ["Call"])],
)
def test_the_first_catcher_that_answers_to_the_error_decides(error: str, states: list[str]) -> None:
    catchers = [
        {"ErrorEquals": ["JobFailed"], "ResultPath": "$.error", "Next": "Kept"},
        {"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "Rest"},
    ]
    ends = {name: {"Type": "Pass", "End": True} for name in ("Kept", "Rest")}
    ended = run(
        machine({"Call": task(Catch=catchers), **ends}), {"kept": 1}, Inline({FUNCTION: failing(error)})
    )
    assert entered(ended) == states
    if states[-1] == "Kept":
        assert output(ended) == {"kept": 1, "error": {"Error": "JobFailed", "Cause": "because"}}
    if states[-1] == "Rest":
        assert output(ended) == {"kept": 1}


def test_an_error_that_nothing_catches_fails_the_execution() -> None:
    ended = run(machine({"Call": task()}), {}, Inline({FUNCTION: failing("Bad")}))
    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", "Bad", "because")
    assert ended["events"][-1]["type"] == "ExecutionFailed"


def test_a_token_is_answered_from_elsewhere() -> None:
    tokens: list[str] = []

    def elsewhere() -> None:
        waiting = pending(tokens[-1])
        assert waiting is not None
        assert waiting.succeed({"model": "m"})
        assert not waiting.succeed("again")

    outside = Inline(
        {INVOKE: lambda task_input, token: tokens.append(task_input["token"])}, meanwhile=elsewhere
    )
    assert output(run(machine({"Wait": callback()}), {}, outside)) == {"model": "m"}
    assert pending(tokens[-1]) is None


@pytest.mark.parametrize(
    ("fields", "elapsed_s"),
    [
        ({"TimeoutSeconds": 3600}, 3600),
        ({"HeartbeatSeconds": 60, "TimeoutSeconds": 3600}, 60),
        ({"TimeoutSecondsPath": "$.limit"}, 7),
    ],
)
def test_a_task_that_nobody_answers_times_out(fields: State, elapsed_s: float) -> None:
    outside = Inline({INVOKE: lambda task_input, token: None})
    ended = run(machine({"Wait": callback(**fields)}), {"limit": 7}, outside)
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Timeout")
    assert outside.elapsed_s == elapsed_s


def test_the_machines_timeout_ends_all_that_waits_inside_it() -> None:
    outside = Inline()
    definition = each(("Wait", {"Type": "Wait", "Seconds": 900, "End": True}))
    ended = run({**definition, "TimeoutSeconds": 1000}, [1, 2, 3], outside)
    assert (ended["status"], ended["error"], outside.elapsed_s) == ("TIMED_OUT", "States.Timeout", 1000)
    assert ended["events"][-1]["type"] == "ExecutionTimedOut"


@pytest.mark.parametrize(
    ("fields", "elapsed_s"),
    [
        ({"Seconds": 30}, 30),
        ({"SecondsPath": "$.s"}, 5),
        ({"Timestamp": "2030-01-01T00:01:00Z"}, 60),
        ({"TimestampPath": "$.at"}, 0),
    ],
)
def test_a_wait_lets_time_pass(fields: State, elapsed_s: float) -> None:
    outside = Inline()
    value = {"s": 5, "at": "2029-12-31T00:00:00Z"}
    assert output(run(machine({"Wait": {"Type": "Wait", "End": True, **fields}}), value, outside)) == value
    assert outside.elapsed_s == elapsed_s


def test_a_map_gives_its_items_results_in_their_order() -> None:
    outside = Inline({FUNCTION: lambda task_input, token: task_input["n"] * 10})
    selector = {"n.$": "$$.Map.Item.Value", "index.$": "$$.Map.Item.Index", "run.$": "$.run"}
    definition = each(
        ("Call", task()), ItemsPath="$.items", ItemSelector=selector, ResultPath="$.results", MaxConcurrency=2
    )
    assert output(run(definition, {"items": [1, 2], "run": "r"}, outside))["results"] == [10, 20]


def test_an_error_inside_a_map_is_the_maps() -> None:
    outside = Inline({FUNCTION: failing(None, "Bad", None)})
    definition = each(("Call", task()), Catch=[{"ErrorEquals": ["Bad"], "Next": "Caught"}])
    definition["States"]["Caught"] = {"Type": "Pass", "End": True}
    ended = run(definition, [1, 2, 3], outside)
    assert output(ended) == {"Error": "Bad", "Cause": "because"}
    assert entered(ended) == ["Each", "Call", "Call", "Caught"]
    assert "MapIterationFailed" in [event["type"] for event in ended["events"]]


def test_parallel_branches_get_the_same_input() -> None:
    branches = [
        machine({"Add": {"Type": "Pass", "Parameters": {"n.$": f"States.MathAdd($.n, {n})"}, "End": True}})
        for n in (1, 2)
    ]
    parallel = {"Type": "Parallel", "Branches": branches, "End": True}
    assert output(run(machine({"Both": parallel}), {"n": 1}, Inline())) == [{"n": 2}, {"n": 3}]


def test_a_redrive_goes_on_from_the_state_that_failed() -> None:
    outside = Inline({FUNCTION: failing(None, "Flaky", None)})
    definition = machine({"First": {**task(Next="Second"), "End": False}, "Second": task()})
    ended = run(definition, 1, outside)
    assert ended["status"] == "FAILED"
    assert history.redrive_status(ended)["redriveStatus"] == "REDRIVABLE"
    history.reopen(ended, "2030-01-01T00:00:01.000Z")
    assert output(run(definition, 1, outside, ended)) == {"got": {"got": 1}}
    assert entered(ended) == ["First", "Second", "Second"]
    assert ended["redriveCount"] == 1


def test_what_was_stopped_is_not_run() -> None:
    execution = new_execution({})
    assert history.close(execution, End("ABORTED", "Changed", "a mind"), "2030-01-01T00:00:00.000Z")
    run(machine({"Call": task()}), {}, Inline(), execution)
    assert (execution["status"], execution["error"]) == ("ABORTED", "Changed")
    assert entered(execution) == []


def test_a_stop_ends_what_waits_without_an_end_of_its_own() -> None:
    outside = Inline({INVOKE: lambda task_input, token: None})
    scope = StopScope(outside)
    outside.meanwhile = scope.stop
    ended = run(machine({"Wait": callback()}), {}, outside, scope=scope)
    assert ended["status"] == "RUNNING"


def test_a_state_that_does_not_exist_fails_the_execution() -> None:
    ended = run(machine({"Pass": {"Type": "Pass", "Next": "Nowhere"}}), {}, Inline())
    assert (ended["error"], ended["cause"]) == ("States.Runtime", "State 'Nowhere' is not defined")


class Expressions(Inline):
    """JSONata of two kinds: `$states.input.NAME`, and what else it is told."""

    known: dict[str, Any] = {}  # noqa: RUF012 - set by a test

    def evaluate(self, expression: str, value: Any, context: Any, result: Any, error_output: Any) -> Any:
        places = {"input": value, "result": result, "errorOutput": error_output}
        if expression.startswith("$states."):
            _, place, *names = expression.split(".")
            found = places[place]
            for name in names:
                found = found[name]
            return found
        return context["variables"].get(expression.removeprefix("$"))


def test_jsonata_states_take_arguments_and_assign_variables() -> None:
    outside = Expressions({FUNCTION: lambda task_input, token: {"double": task_input["n"] * 2}})
    states: dict[str, State] = {
        "Call": {
            "Type": "Task",
            "Resource": FUNCTION,
            "Arguments": {"n": "{% $states.input.n %}"},
            "Assign": {"kept": "{% $states.result.double %}"},
            "Output": {"result": "{% $states.result %}"},
            "Next": "Which",
        },
        "Which": {
            "Type": "Choice",
            "Choices": [
                {"Condition": "{% $missing %}", "Next": "No"},
                {"Condition": "{% $kept %}", "Next": "Yes"},
            ],
        },
        "No": {"Type": "Fail"},
        "Yes": {"Type": "Pass", "Output": ["{% $kept %}", "plain"], "End": True},
    }
    assert output(run(machine(states, QueryLanguage="JSONata"), {"n": 2}, outside)) == [4, "plain"]


def test_a_jsonata_field_of_another_type_is_an_error() -> None:
    wait = {"Type": "Wait", "Seconds": "{% $states.input.s %}", "End": True}
    ended = run(machine({"Wait": wait}, QueryLanguage="JSONata"), {"s": "5"}, Expressions())
    assert ended["error"] == "States.QueryEvaluationError"
    assert "Expected 'number', but was 'string'" in ended["cause"]
