"""Step Functions of the local cloud against statements about AWS."""

from __future__ import annotations

import io
import json
import re
import threading
import time
import uuid
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bus import Listener
from local.functions import wait_for
from sluice_local.cloud import LocalCloud

Unique = Callable[[str], str]
State = dict[str, Any]

FUNCTION = """
import json, os, time
import boto3

class JobRefusedError(Exception):
    pass

class ThrottledError(Exception):
    pass

def handler(event, context):
    if "sleep_s" in event:
        time.sleep(event["sleep_s"])
    if "raises" in event:
        raise globals()[event["raises"]](event.get("message", "no reason"))
    if "answers" in event:
        output = json.dumps(event["answers"])
        boto3.client("stepfunctions").send_task_success(taskToken=event["token"], output=output)
    if "announce" in event:
        boto3.client("sqs").send_message(QueueUrl=event["announce"], MessageBody=json.dumps(event))
    if "returns_bytes" in event:
        return "x" * event["returns_bytes"]
    return {"got": event}
"""


class StateMachines:
    """State machines and their executions, made for one test."""

    def __init__(self, cloud: LocalCloud, unique: Unique, function: str) -> None:
        self.cloud, self.unique, self.function = cloud, unique, function
        self.client = cloud.client("stepfunctions")
        self.sqs = cloud.client("sqs")
        self.role = f"arn:aws:iam::{cloud.account}:role/any"

    def create(self, states: dict[str, State], start_at: str | None = None, **fields: Any) -> str:
        definition = {"StartAt": start_at or next(iter(states)), "States": states, **fields}
        arn: str = self.client.create_state_machine(
            name=self.unique("machine"), definition=json.dumps(definition), roleArn=self.role
        )["stateMachineArn"]
        return arn

    def start(self, machine: str, value: Any = None, **options: Any) -> str:
        arn: str = self.client.start_execution(
            stateMachineArn=machine, input=json.dumps(value if value is not None else {}), **options
        )["executionArn"]
        return arn

    def wait(self, execution: str, timeout_s: float = 90) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while (found := self.client.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < deadline, f"still running: {self.history(execution)}"
            time.sleep(0.02)
        return dict(found)

    def run(self, states: dict[str, State], value: Any = None, **fields: Any) -> dict[str, Any]:
        return self.wait(self.start(self.create(states, **fields), value))

    def output(self, states: dict[str, State], value: Any = None, **fields: Any) -> Any:
        ended = self.run(states, value, **fields)
        assert ended["status"] == "SUCCEEDED", ended
        return json.loads(ended["output"])

    def history(self, execution: str) -> list[dict[str, Any]]:
        pages = self.client.get_paginator("get_execution_history").paginate(executionArn=execution)
        return [event for page in pages for event in page["events"]]

    def kinds(self, execution: str) -> list[str]:
        return [event["type"] for event in self.history(execution)]

    def calls(self, queue: str, count: int, timeout_s: float = 90) -> list[dict[str, Any]]:
        """What functions announced to the queue."""
        deadline = time.monotonic() + timeout_s
        found: list[dict[str, Any]] = []
        while len(found) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} calls"
            answer = self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for message in answer.get("Messages", []):
                found.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return found

    def queue(self) -> str:
        url: str = self.sqs.create_queue(QueueName=self.unique("calls"))["QueueUrl"]
        return url

    def direct(self, payload: dict[str, Any] | None = None, **fields: Any) -> State:
        """A task whose Resource is the function itself."""
        parameters = {} if payload is None else {"Parameters": payload}
        return {
            "Type": "Task",
            "Resource": self.function,
            "TimeoutSeconds": 30,
            "End": True,
            **parameters,
            **fields,
        }

    def callback(self, payload: dict[str, Any], **fields: Any) -> State:
        """A task that waits for its token."""
        return {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Parameters": {"FunctionName": self.function, "Payload": {"token.$": "$$.Task.Token", **payload}},
            "End": True,
            **fields,
        }

    def token(self, execution: str, queue: str) -> str:
        (call,) = self.calls(queue, 1)
        return str(call["token"])


@pytest.fixture(scope="session")
def function(cloud: LocalCloud) -> str:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr("app.py", FUNCTION)
    arn: str = cloud.client("lambda").create_function(
        FunctionName="states-test",
        Runtime="python3.11",
        Handler="app.handler",
        Role=f"arn:aws:iam::{cloud.account}:role/any",
        Code={"ZipFile": archive.getvalue()},
        Timeout=10,
    )["FunctionArn"]
    return arn


@pytest.fixture
def states(cloud: LocalCloud, unique: Unique, function: str) -> StateMachines:
    return StateMachines(cloud, unique, function)


WAIT = {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}
PASS = {"Pass": {"Type": "Pass", "End": True}}


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


class TestStarting:
    def test_the_same_name_and_input_while_it_runs_is_the_same_execution(self, states: StateMachines) -> None:
        machine = states.create(WAIT)
        request = {"stateMachineArn": machine, "name": "n", "input": '{"a": 1}'}
        first, again = states.client.start_execution(**request), states.client.start_execution(**request)
        assert (first["executionArn"], first["startDate"]) == (again["executionArn"], again["startDate"])
        assert len(states.client.list_executions(stateMachineArn=machine)["executions"]) == 1
        states.client.stop_execution(executionArn=first["executionArn"])

    def test_the_same_name_with_other_input_is_refused(self, states: StateMachines) -> None:
        machine = states.create(WAIT)
        execution = states.start(machine, {"a": 1}, name="n")
        with pytest.raises(states.client.exceptions.ExecutionAlreadyExists):
            states.start(machine, {"a": 2}, name="n")
        states.client.stop_execution(executionArn=execution)

    def test_the_name_of_a_finished_execution_is_taken(self, states: StateMachines) -> None:
        machine = states.create(PASS)
        states.wait(states.start(machine, {}, name="n"))
        with pytest.raises(states.client.exceptions.ExecutionAlreadyExists):
            states.start(machine, {}, name="n")

    def test_of_many_simultaneous_starts_of_one_name_one_runs(self, states: StateMachines) -> None:
        machine = states.create(WAIT)
        with ThreadPoolExecutor(10) as pool:
            arns = set(pool.map(lambda _: states.start(machine, {"a": 1}, name="n"), range(20)))
        assert len(arns) == 1
        assert states.kinds(*arns).count("ExecutionStarted") == 1
        states.client.stop_execution(executionArn=arns.pop())

    @pytest.mark.parametrize("name", ["with space", "a/b", "a:b", "x" * 81, "a*"])
    def test_an_invalid_name_is_refused(self, states: StateMachines, name: str) -> None:
        machine = states.create(PASS)
        with pytest.raises(ClientError) as refused:
            states.start(machine, {}, name=name)
        assert code(refused) in ("InvalidName", "ValidationException")

    def test_input_that_is_not_json_is_refused(self, states: StateMachines) -> None:
        with pytest.raises(states.client.exceptions.InvalidExecutionInput):
            states.client.start_execution(stateMachineArn=states.create(PASS), input="{nope")

    def test_input_over_256_kb_is_refused(self, states: StateMachines) -> None:
        with pytest.raises(ClientError) as refused:
            states.start(states.create(PASS), "x" * 262_144)
        assert code(refused) == "ValidationException"

    def test_an_execution_begins_at_once(self, states: StateMachines) -> None:
        machine = states.create(PASS)
        ended = [states.wait(states.start(machine)) for _ in range(5)]
        # Whoever looks for executions now and then is late for most.
        assert min(each["stopDate"] - each["startDate"] for each in ended).total_seconds() < 0.5


class TestStopping:
    def test_a_stopped_execution_is_aborted_with_error_and_cause(self, states: StateMachines) -> None:
        execution = states.start(states.create(WAIT))
        states.client.stop_execution(executionArn=execution, error="Changed", cause="a person's mind")
        ended = states.wait(execution)
        assert (ended["status"], ended["error"], ended["cause"]) == ("ABORTED", "Changed", "a person's mind")
        assert states.kinds(execution)[-1] == "ExecutionAborted"

    def test_nothing_runs_after_a_stop(self, states: StateMachines) -> None:
        queue = states.queue()
        machine = states.create(
            {
                "Each": {
                    "Type": "Map",
                    "ItemProcessor": {
                        "StartAt": "Wait",
                        "States": {
                            "Wait": {"Type": "Wait", "Seconds": 3, "Next": "Call"},
                            "Call": states.direct({"announce": queue}),
                        },
                    },
                    "End": True,
                }
            }
        )
        execution = states.start(machine, [1, 2, 3])
        wait_for(lambda: states.kinds(execution).count("WaitStateEntered") == 3)
        states.client.stop_execution(executionArn=execution)
        time.sleep(2.5)
        assert "Messages" not in states.sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1)
        assert states.client.describe_execution(executionArn=execution)["status"] == "ABORTED"

    def test_the_token_of_a_stopped_execution_is_void(self, states: StateMachines) -> None:
        queue = states.queue()
        execution = states.start(states.create({"Wait": states.callback({"announce": queue})}))
        token = states.token(execution, queue)
        states.client.stop_execution(executionArn=execution)
        assert states.wait(execution)["status"] == "ABORTED"
        time.sleep(0.2)
        with pytest.raises(states.client.exceptions.TaskTimedOut):
            states.client.send_task_success(taskToken=token, output="{}")

    def test_what_ended_cannot_be_stopped(self, states: StateMachines) -> None:
        execution = states.start(states.create(PASS))
        states.wait(execution)
        with pytest.raises(ClientError):
            states.client.stop_execution(executionArn=execution)
        with pytest.raises(states.client.exceptions.ExecutionDoesNotExist):
            states.client.stop_execution(executionArn=execution + "x")


class TestTimeouts:
    def test_the_machines_timeout_ends_the_execution_as_timed_out(self, states: StateMachines) -> None:
        ended = states.run(WAIT, TimeoutSeconds=1)
        assert ended["status"] == "TIMED_OUT"
        assert ended["error"] == "States.Timeout"
        assert states.kinds(ended["executionArn"])[-1] == "ExecutionTimedOut"

    def test_the_machines_timeout_ends_a_wait_for_a_token(self, states: StateMachines) -> None:
        assert states.run({"Wait": states.callback({})}, TimeoutSeconds=1)["status"] == "TIMED_OUT"

    @pytest.mark.parametrize(
        ("fields", "value"),
        [({"TimeoutSeconds": 1}, {}), ({"TimeoutSecondsPath": "$.limit"}, {"limit": 1})],
    )
    def test_a_task_that_is_not_answered_in_time_fails(
        self, states: StateMachines, fields: State, value: Any
    ) -> None:
        ended = states.run({"Wait": states.callback({}, **fields)}, value)
        assert (ended["status"], ended["error"]) == ("FAILED", "States.Timeout")
        assert "TaskTimedOut" in states.kinds(ended["executionArn"])

    def test_a_function_that_runs_over_the_states_timeout_is_not_waited_for(
        self, states: StateMachines
    ) -> None:
        slow = {**states.direct({"sleep_s": 9}), "TimeoutSeconds": 1}
        caught = {"ErrorEquals": ["States.Timeout"], "Next": "Late"}
        started = time.monotonic()
        output = states.output({"Call": {**slow, "Catch": [caught]}, "Late": {"Type": "Pass", "End": True}})
        assert output["Error"] == "States.Timeout"
        assert time.monotonic() - started < 9

    @pytest.mark.parametrize("name", ["States.HeartbeatTimeout", "States.Timeout", "States.ALL"])
    def test_a_missing_heartbeat_is_a_timeout_of_its_own(self, states: StateMachines, name: str) -> None:
        waiting = states.callback(
            {}, HeartbeatSeconds=1, TimeoutSeconds=30, Catch=[{"ErrorEquals": [name], "Next": "Caught"}]
        )
        assert (
            states.output({"Wait": waiting, "Caught": {"Type": "Pass", "End": True}})["Error"]
            == "States.Timeout"
        )

    def test_heartbeats_keep_a_task_alive(self, states: StateMachines) -> None:
        queue = states.queue()
        states.run({"Warm": states.direct()})  # a cold start is silence too
        machine = states.create({"Wait": states.callback({"announce": queue}, HeartbeatSecondsPath="$.beat")})
        execution = states.start(machine, {"beat": 3})
        token = states.token(execution, queue)
        for _ in range(3):
            time.sleep(1.2)
            states.client.send_task_heartbeat(taskToken=token)
        states.client.send_task_success(taskToken=token, output='"alive"')
        assert json.loads(states.wait(execution)["output"]) == "alive"

    def test_a_timeout_is_not_a_failed_task(self, states: StateMachines) -> None:
        waiting = states.callback(
            {}, TimeoutSeconds=1, Catch=[{"ErrorEquals": ["States.TaskFailed"], "Next": "Caught"}]
        )
        assert states.run({"Wait": waiting, "Caught": {"Type": "Pass", "End": True}})["status"] == "FAILED"


class TestTokens:
    def test_an_answer_is_the_tasks_output(self, states: StateMachines) -> None:
        queue = states.queue()
        execution = states.start(states.create({"Wait": states.callback({"announce": queue})}))
        states.client.send_task_success(taskToken=states.token(execution, queue), output='{"model": "m"}')
        assert json.loads(states.wait(execution)["output"]) == {"model": "m"}
        expected = ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded", "TaskStateExited"]
        assert states.kinds(execution)[2:-1] == expected

    def test_an_answer_before_the_function_returns_is_taken(self, states: StateMachines) -> None:
        early = states.callback({"answers": {"early": True}}, TimeoutSeconds=20)
        assert states.output({"Wait": early}) == {"early": True}

    def test_a_failure_carries_its_error_and_cause(self, states: StateMachines) -> None:
        queue = states.queue()
        execution = states.start(states.create({"Wait": states.callback({"announce": queue})}))
        token = states.token(execution, queue)
        states.client.send_task_failure(taskToken=token, error="TrainingJobFailed", cause="out of memory")
        ended = states.wait(execution)
        assert (ended["error"], ended["cause"]) == ("TrainingJobFailed", "out of memory")
        assert "output" not in ended

    def test_a_function_that_fails_fails_the_task_at_once(self, states: StateMachines) -> None:
        refused = states.callback(
            {"raises": "JobRefusedError", "message": "no quota"},
            TimeoutSeconds=60,
            Catch=[{"ErrorEquals": ["JobRefusedError"], "Next": "Refused"}],
        )
        output = states.output({"Submit": refused, "Refused": {"Type": "Pass", "End": True}})
        assert output["Error"] == "JobRefusedError"
        assert json.loads(output["Cause"])["errorMessage"] == "no quota"

    def test_each_attempt_has_a_token_of_its_own(self, states: StateMachines) -> None:
        queue = states.queue()
        retrier = {"ErrorEquals": ["Again"], "IntervalSeconds": 1, "MaxAttempts": 1}
        execution = states.start(
            states.create({"Wait": states.callback({"announce": queue}, Retry=[retrier])})
        )
        first = states.token(execution, queue)
        states.client.send_task_failure(taskToken=first, error="Again")
        second = states.token(execution, queue)
        assert first != second
        states.client.send_task_success(taskToken=second, output="2")
        assert states.wait(execution)["status"] == "SUCCEEDED"

    @pytest.mark.parametrize("operation", ["send_task_success", "send_task_failure", "send_task_heartbeat"])
    def test_an_answered_token_is_gone(self, states: StateMachines, operation: str) -> None:
        queue = states.queue()
        execution = states.start(states.create({"Wait": states.callback({"announce": queue})}))
        token = states.token(execution, queue)
        states.client.send_task_success(taskToken=token, output="{}")
        states.wait(execution)
        arguments = {"output": "{}"} if operation == "send_task_success" else {}
        with pytest.raises(states.client.exceptions.TaskTimedOut):
            getattr(states.client, operation)(taskToken=token, **arguments)

    def test_what_is_no_token_is_invalid(self, states: StateMachines) -> None:
        with pytest.raises(states.client.exceptions.InvalidToken):
            states.client.send_task_success(taskToken="not a token", output="{}")

    def test_an_answer_that_is_not_json_is_refused_and_the_task_waits_on(self, states: StateMachines) -> None:
        queue = states.queue()
        execution = states.start(states.create({"Wait": states.callback({"announce": queue})}))
        token = states.token(execution, queue)
        with pytest.raises(states.client.exceptions.InvalidOutput):
            states.client.send_task_success(taskToken=token, output="{nope")
        states.client.send_task_success(taskToken=token, output="{}")
        assert states.wait(execution)["status"] == "SUCCEEDED"

    def test_of_many_simultaneous_answers_one_counts(self, states: StateMachines) -> None:
        queue = states.queue()
        execution = states.start(states.create({"Wait": states.callback({"announce": queue})}))
        token = states.token(execution, queue)
        accepted: list[int] = []

        def answer(number: int) -> None:
            try:
                states.client.send_task_success(taskToken=token, output=str(number))
                accepted.append(number)
            except states.client.exceptions.TaskTimedOut:
                pass

        with ThreadPoolExecutor(10) as pool:
            list(pool.map(answer, range(10)))
        assert accepted == [json.loads(states.wait(execution)["output"])]

    def test_fifty_executions_with_tokens_lose_none(self, states: StateMachines) -> None:
        queue = states.queue()
        machine = states.create(
            {"Wait": states.callback({"announce": queue, "number.$": "$.number"}, TimeoutSeconds=120)}
        )
        with ThreadPoolExecutor(10) as pool:
            executions = list(pool.map(lambda number: states.start(machine, {"number": number}), range(50)))
            calls = states.calls(queue, 50)
            list(
                pool.map(
                    lambda call: states.client.send_task_success(
                        taskToken=call["token"], output=json.dumps(call["number"])
                    ),
                    calls,
                )
            )
        assert [json.loads(states.wait(each)["output"]) for each in executions] == list(range(50))

    def test_an_activity_is_answered_by_its_worker(self, states: StateMachines) -> None:
        activity = states.client.create_activity(name=states.unique("activity"))["activityArn"]
        execution = states.start(
            states.create(
                {"Work": {"Type": "Task", "Resource": activity, "TimeoutSeconds": 30, "End": True}}
            ),
            {"n": 1},
        )
        task = states.client.get_activity_task(activityArn=activity)
        assert json.loads(task["input"]) == {"n": 1}
        states.client.send_task_success(taskToken=task["taskToken"], output="2")
        assert json.loads(states.wait(execution)["output"]) == 2


class TestErrors:
    def test_a_function_named_by_its_arn_returns_its_payload(self, states: StateMachines) -> None:
        assert states.output({"Call": states.direct({"a.$": "$.b"})}, {"b": 1}) == {"got": {"a": 1}}

    def test_lambda_invoke_returns_the_payload_in_an_envelope(self, states: StateMachines) -> None:
        invoke = {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": states.function, "Payload": {"a": 1}},
            "End": True,
        }
        output = states.output({"Call": invoke})
        assert (output["StatusCode"], output["Payload"]) == (200, {"got": {"a": 1}})

    def test_an_exception_is_the_error_and_its_report_the_cause(self, states: StateMachines) -> None:
        ended = states.run({"Call": states.direct({"raises": "JobRefusedError", "message": "no quota"})})
        assert (ended["status"], ended["error"]) == ("FAILED", "JobRefusedError")
        cause = json.loads(ended["cause"])
        assert (cause["errorMessage"], cause["errorType"]) == ("no quota", "JobRefusedError")
        assert cause["stackTrace"]

    def test_a_function_that_is_not_there_is_an_error_of_lambda(self, states: StateMachines) -> None:
        missing = {**states.direct({}), "Resource": states.function + "-missing"}
        assert states.run({"Call": missing})["error"] == "Lambda.ResourceNotFoundException"

    def test_a_throttled_function_is_retried_as_an_error_of_lambda(self, states: StateMachines) -> None:
        """Until its reserved concurrency is there again."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as bundle:
            bundle.writestr("app.py", FUNCTION)
        functions, name = states.cloud.client("lambda"), states.unique("throttled")
        arn = functions.create_function(
            FunctionName=name,
            Runtime="python3.11",
            Handler="app.handler",
            Role=states.role,
            Code={"ZipFile": archive.getvalue()},
        )["FunctionArn"]
        functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        call = {**states.direct({}), "Resource": arn}
        assert states.run({"Call": call})["error"] == "Lambda.TooManyRequestsException"
        retrier = {"ErrorEquals": ["Lambda.TooManyRequestsException"], "IntervalSeconds": 1, "MaxAttempts": 5}
        execution = states.start(states.create({"Call": {**call, "Retry": [retrier]}}))
        time.sleep(0.5)
        functions.delete_function_concurrency(FunctionName=name)
        assert states.wait(execution)["status"] == "SUCCEEDED"

    def test_retries_are_counted_by_retrier_and_then_caught(self, states: StateMachines) -> None:
        call = states.direct(
            {"raises": "ThrottledError"},
            Retry=[
                {"ErrorEquals": ["JobRefusedError"], "MaxAttempts": 9},
                {"ErrorEquals": ["ThrottledError"], "IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 1},
            ],
            Catch=[{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.error", "Next": "Caught"}],
        )
        ended = states.run({"Call": call, "Caught": {"Type": "Pass", "End": True}}, {"kept": 1})
        assert json.loads(ended["output"])["kept"] == 1
        assert json.loads(ended["output"])["error"]["Error"] == "ThrottledError"
        assert states.kinds(ended["executionArn"]).count("LambdaFunctionFailed") == 3

    def test_max_delay_bounds_the_backoff(self, states: StateMachines) -> None:
        retrier = {
            "ErrorEquals": ["States.ALL"],
            "IntervalSeconds": 1,
            "BackoffRate": 10,
            "MaxDelaySeconds": 2,
            "MaxAttempts": 2,
        }
        started = time.monotonic()
        states.run({"Call": states.direct({"raises": "ThrottledError"}, Retry=[retrier])})
        assert 2.9 < time.monotonic() - started < 11

    def test_a_path_that_leads_nowhere_fails_and_no_wildcard_catches_it(self, states: StateMachines) -> None:
        call = states.direct(
            {"a.$": "$.missing"},
            Retry=[{"ErrorEquals": ["States.ALL"]}],
            Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
        )
        ended = states.run({"Call": call, "Caught": {"Type": "Pass", "End": True}})
        assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")
        assert "$.missing" in ended["cause"]

    def test_a_result_over_256_kb_fails_and_no_wildcard_catches_it(self, states: StateMachines) -> None:
        call = states.direct(
            {"returns_bytes": 262_143}, Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
        )
        ended = states.run({"Call": call, "Caught": {"Type": "Pass", "End": True}})
        assert (ended["status"], ended["error"]) == ("FAILED", "States.DataLimitExceeded")

    def test_a_result_of_256_kb_passes(self, states: StateMachines) -> None:
        assert len(states.output({"Call": states.direct({"returns_bytes": 262_142})})) == 262_142

    def test_a_state_may_not_grow_over_256_kb(self, states: StateMachines) -> None:
        twice = {"Type": "Pass", "Parameters": {"a.$": "$", "b.$": "$"}, "End": True}
        assert states.run({"Twice": twice}, "x" * 200_000)["error"] == "States.DataLimitExceeded"

    def test_a_fail_state_fails_the_execution_with_its_error_and_cause(self, states: StateMachines) -> None:
        fail = {"Type": "Fail", "ErrorPath": "$.error", "Cause": "because"}
        ended = states.run({"Fail": fail}, {"error": "RunFailed"})
        assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", "RunFailed", "because")


def each(processor: dict[str, State], **fields: Any) -> dict[str, State]:
    return {
        "Each": {
            "Type": "Map",
            "ItemProcessor": {"StartAt": next(iter(processor)), "States": processor},
            "End": True,
            **fields,
        }
    }


class TestMap:
    def test_items_and_their_selector(self, states: StateMachines) -> None:
        selector = {
            "index.$": "$$.Map.Item.Index",
            "item.$": "$$.Map.Item.Value.n",
            "run.$": "$.run",
            "step.$": "States.Format('train-{}', $$.Map.Item.Value.n)",
        }
        machine = each(PASS, ItemsPath="$.items", ItemSelector=selector, ResultPath="$.results")
        output = states.output(machine, {"items": [{"n": 7}, {"n": 8}], "run": "r"})
        assert output["run"] == "r"
        assert output["results"] == [
            {"index": 0, "item": 7, "run": "r", "step": "train-7"},
            {"index": 1, "item": 8, "run": "r", "step": "train-8"},
        ]

    @pytest.mark.parametrize("limit", [{"MaxConcurrency": 2}, {"MaxConcurrencyPath": "$.limit"}])
    def test_no_more_run_at_once_than_max_concurrency(self, states: StateMachines, limit: State) -> None:
        pause = {"Wait": {"Type": "Wait", "Seconds": 1, "End": True}}
        ended = states.run(each(pause, ItemsPath="$.items", **limit), {"items": [1, 2, 3, 4], "limit": 2})
        running = peak = 0
        for kind in states.kinds(ended["executionArn"]):
            running += {"MapIterationStarted": 1, "MapIterationSucceeded": -1}.get(kind, 0)
            peak = max(peak, running)
        assert ended["status"] == "SUCCEEDED"
        assert peak == 2

    def test_an_iteration_that_fails_stops_the_others(self, states: StateMachines) -> None:
        processor: dict[str, State] = {
            "Which": {
                "Type": "Choice",
                "Choices": [{"Variable": "$", "NumericEquals": 0, "Next": "Begin"}],
                "Default": "Wait",
            },
            "Begin": {"Type": "Wait", "Seconds": 1, "Next": "Fail"},
            "Fail": {"Type": "Fail", "Error": "Bad", "Cause": "item"},
            "Wait": {"Type": "Wait", "Seconds": 60, "End": True},
        }
        ended = states.run(each(processor), [1, 0, 2])
        assert (ended["error"], ended["cause"]) == ("Bad", "item")
        kinds = states.kinds(ended["executionArn"])
        assert kinds.count("MapIterationFailed") == 1
        assert kinds.count("MapIterationAborted") == 2
        assert "MapStateFailed" in kinds

    def test_a_catch_inside_keeps_an_iterations_error_to_itself(self, states: StateMachines) -> None:
        processor = {
            "Call": states.direct(
                Catch=[{"ErrorEquals": ["JobRefusedError"], "ResultPath": "$.error", "Next": "Failed"}],
                ResultPath="$.result",
            ),
            "Failed": {"Type": "Pass", "Parameters": {"failed.$": "$.error.Error"}, "End": True},
        }
        output = states.output(each(processor), [{"a": 1}, {"raises": "JobRefusedError"}])
        assert output[0]["result"] == {"got": {"a": 1}}
        assert output[1] == {"failed": "JobRefusedError"}

    def test_a_map_is_caught_and_retried_as_a_whole(self, states: StateMachines) -> None:
        machine = each(
            {"Call": states.direct()},
            Retry=[{"ErrorEquals": ["JobRefusedError"], "IntervalSeconds": 1, "MaxAttempts": 1}],
            Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
        )
        ended = states.run(
            {**machine, "Caught": {"Type": "Pass", "End": True}}, [{"a": 1}, {"raises": "JobRefusedError"}]
        )
        assert json.loads(ended["output"])["Error"] == "JobRefusedError"
        assert states.kinds(ended["executionArn"]).count("MapStateStarted") == 2

    def test_an_empty_list_has_no_iterations(self, states: StateMachines) -> None:
        assert states.output(each(PASS), []) == []

    def test_what_is_not_a_list_is_an_error(self, states: StateMachines) -> None:
        assert states.run(each(PASS, ItemsPath="$.items"), {"items": {"a": 1}})["error"] == "States.Runtime"

    def test_tokens_inside_a_map_are_answered_in_any_order(self, states: StateMachines) -> None:
        queue = states.queue()
        processor = {"Wait": states.callback({"announce": queue, "n.$": "$"}, TimeoutSeconds=60)}
        execution = states.start(states.create(each(processor, MaxConcurrency=3)), [0, 1, 2])
        for call in reversed(states.calls(queue, 3)):
            states.client.send_task_success(taskToken=call["token"], output=str(call["n"] * 10))
        assert json.loads(states.wait(execution)["output"]) == [0, 10, 20]

    def test_parallel_branches_give_a_list_of_results(self, states: StateMachines) -> None:
        branches = [
            {"StartAt": name, "States": {name: {"Type": "Pass", "Result": name, "End": True}}}
            for name in ("A", "B")
        ]
        assert states.output({"Both": {"Type": "Parallel", "Branches": branches, "End": True}}) == ["A", "B"]


class TestData:
    @pytest.mark.parametrize(
        ("expression", "value"),
        [
            ("States.Format('{}-{}', $.name, $.n)", "a-3"),
            ("States.Format('{} {} {}', $.yes, $.nothing, $.list)", 'true null [1,"é"]'),
            ("States.JsonToString($.object)", '{"k":"é"}'),
            ("States.Array($.name, $.n, 'x')", ["a", 3, "x"]),
            ("States.ArrayLength($.list)", 2),
            ("States.ArrayLength(States.Array())", 0),
            ("States.StringToJson('{\"a\": 1}')", {"a": 1}),
        ],
    )
    def test_intrinsic_functions(self, states: StateMachines, expression: str, value: Any) -> None:
        data = {"name": "a", "n": 3, "yes": True, "nothing": None, "list": [1, "é"], "object": {"k": "é"}}
        state = {"Type": "Pass", "Parameters": {"value.$": expression}, "End": True}
        assert states.output({"Pass": state}, data) == {"value": value}

    @pytest.mark.parametrize(
        ("rule", "data", "matched"),
        [
            ({"Variable": "$.a", "IsPresent": True}, {"a": None}, True),
            ({"Variable": "$.a", "IsPresent": True}, {}, False),
            ({"Variable": "$.a.b", "IsPresent": False}, {}, True),
            ({"Variable": "$.a", "BooleanEquals": True}, {"a": True}, True),
            ({"Variable": "$.a", "BooleanEquals": True}, {"a": 1}, False),
            ({"Variable": "$.a", "BooleanEquals": False}, {"a": 0}, False),
            ({"Variable": "$.a", "StringEquals": "x"}, {"a": "x"}, True),
            ({"Variable": "$.a", "StringEquals": "x"}, {"a": ["x"]}, False),
            ({"Variable": "$.a", "NumericGreaterThan": 0}, {"a": 0.5}, True),
            ({"Variable": "$.a", "NumericGreaterThan": 0}, {"a": "1"}, False),
            ({"Variable": "$.a", "IsNull": True}, {"a": None}, True),
            ({"Variable": "$.a", "IsNumeric": True}, {"a": True}, False),
            ({"Not": {"Variable": "$.a", "IsPresent": True}}, {}, True),
            (
                {"And": [{"Variable": "$.a", "IsPresent": True}, {"Variable": "$.a", "BooleanEquals": True}]},
                {},
                False,
            ),
        ],
    )
    def test_choice_operators(self, states: StateMachines, rule: State, data: Any, matched: bool) -> None:
        choice = {"Type": "Choice", "Choices": [{**rule, "Next": "Yes"}], "Default": "No"}
        ends = {name: {"Type": "Pass", "Result": name == "Yes", "End": True} for name in ("Yes", "No")}
        assert states.output({"Choice": choice, **ends}, data) is matched

    def test_comparing_what_is_not_there_fails(self, states: StateMachines) -> None:
        choice = {
            "Type": "Choice",
            "Choices": [{"Variable": "$.a", "BooleanEquals": True, "Next": "End"}],
            "Default": "End",
        }
        assert states.run({"Choice": choice, "End": {"Type": "Succeed"}})["error"] == "States.Runtime"

    def test_a_choice_without_a_match_fails(self, states: StateMachines) -> None:
        choice = {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsPresent": True, "Next": "End"}]}
        ended = states.run({"Choice": choice, "End": {"Type": "Succeed"}})
        assert ended["error"] == "States.NoChoiceMatched"

    def test_result_path_null_drops_the_result(self, states: StateMachines) -> None:
        assert states.output({"Call": states.direct({}, ResultPath=None)}, {"kept": 1}) == {"kept": 1}

    def test_a_result_selector_may_read_the_context(self, states: StateMachines) -> None:
        selector = {"got.$": "$.got.a", "name.$": "$$.State.Name"}
        output = states.output({"Call": states.direct({"a": 1}, ResultSelector=selector)})
        assert output == {"got": 1, "name": "Call"}

    def test_an_output_path_takes_a_part(self, states: StateMachines) -> None:
        assert states.output({"Call": states.direct({"a": 1}, OutputPath="$.got.a")}) == 1

    def test_the_context_names_the_execution(self, states: StateMachines) -> None:
        state = {
            "Type": "Pass",
            "Parameters": {"id.$": "$$.Execution.Id", "in.$": "$$.Execution.Input.a"},
            "End": True,
        }
        ended = states.run({"Pass": state}, {"a": 1})
        assert json.loads(ended["output"]) == {"id": ended["executionArn"], "in": 1}


class TestRedrive:
    def test_a_failed_execution_goes_on_from_the_state_that_failed(self, states: StateMachines) -> None:
        queue = states.queue()
        machine = states.create(
            {
                "First": states.direct(
                    {"announce": queue, "n.$": "$.n"}, ResultPath="$.first", Next="Second"
                ),
                "Second": states.callback({"announce": queue, "first.$": "$.first.got.n"}),
            }
        )
        del_end = json.loads(states.client.describe_state_machine(stateMachineArn=machine)["definition"])
        del del_end["States"]["First"]["End"]
        states.client.update_state_machine(stateMachineArn=machine, definition=json.dumps(del_end))
        execution = states.start(machine, {"n": 5})
        (call,) = [each for each in states.calls(queue, 2) if "token" in each]
        states.client.send_task_failure(taskToken=call["token"], error="Flaky", cause="once")
        failed = states.wait(execution)
        assert (failed["redriveCount"], failed["redriveStatus"]) == (0, "REDRIVABLE")

        states.client.redrive_execution(executionArn=execution)
        (again,) = states.calls(queue, 1)
        assert again["first"] == 5
        states.client.send_task_success(taskToken=again["token"], output='"done"')
        ended = states.wait(execution)
        assert (ended["status"], json.loads(ended["output"]), ended["redriveCount"]) == (
            "SUCCEEDED",
            "done",
            1,
        )
        assert ended["redriveStatus"] == "NOT_REDRIVABLE"
        kinds = states.kinds(execution)
        assert kinds.count("LambdaFunctionScheduled") == 1
        assert kinds.index("ExecutionFailed") + 1 == kinds.index("ExecutionRedriven")

    def test_only_the_iterations_that_did_not_succeed_run_again(self, states: StateMachines) -> None:
        queue = states.queue()
        processor = {"Wait": states.callback({"announce": queue, "n.$": "$"})}
        execution = states.start(states.create(each(processor, MaxConcurrency=1)), [0, 1])
        states.client.send_task_success(taskToken=states.token(execution, queue), output='"first"')
        states.client.send_task_failure(taskToken=states.token(execution, queue), error="Flaky")
        states.wait(execution)
        states.client.redrive_execution(executionArn=execution)
        (again,) = states.calls(queue, 1)
        assert again["n"] == 1
        states.client.send_task_success(taskToken=again["token"], output='"second"')
        assert json.loads(states.wait(execution)["output"]) == ["first", "second"]

    @pytest.mark.parametrize("end", ["aborted", "timed out"])
    def test_an_aborted_or_timed_out_execution_can_be_redriven(self, states: StateMachines, end: str) -> None:
        queue = states.queue()
        limit_s = 5 if end == "timed out" else 60
        machine = states.create({"Wait": states.callback({"announce": queue})}, TimeoutSeconds=limit_s)
        execution = states.start(machine)
        states.token(execution, queue)
        if end == "aborted":
            states.client.stop_execution(executionArn=execution)
        states.wait(execution)
        states.client.redrive_execution(executionArn=execution)
        states.client.send_task_success(taskToken=states.token(execution, queue), output="{}")
        assert states.wait(execution)["status"] == "SUCCEEDED"

    def test_a_successful_execution_cannot_be_redriven(self, states: StateMachines) -> None:
        execution = states.start(states.create(PASS))
        states.wait(execution)
        with pytest.raises(states.client.exceptions.ExecutionNotRedrivable):
            states.client.redrive_execution(executionArn=execution)

    def test_what_does_not_exist_cannot_be_redriven(self, states: StateMachines) -> None:
        execution = states.start(states.create(PASS))
        with pytest.raises(states.client.exceptions.ExecutionDoesNotExist):
            states.client.redrive_execution(executionArn=execution + "x")


class TestStatusEvents:
    @pytest.fixture
    def listener(self, states: StateMachines) -> Callable[[str], Listener]:
        def listen(machine: str) -> Listener:
            pattern = {"source": ["aws.states"], "detail": {"stateMachineArn": [machine]}}
            return Listener(states.cloud, states.unique("states"), pattern)

        return listen

    def test_a_run_sends_running_and_succeeded(
        self, states: StateMachines, listener: Callable[[str], Listener]
    ) -> None:
        machine = states.create(PASS)
        listening = listener(machine)
        execution = states.start(machine, {"run": 7}, name="churn-7")
        event = listening.wait_for(lambda event: event["detail"]["status"] == "SUCCEEDED")
        assert [each["detail"]["status"] for each in listening.poll()] == ["RUNNING", "SUCCEEDED"]
        assert (event["source"], event["detail-type"]) == (
            "aws.states",
            "Step Functions Execution Status Change",
        )
        assert event["resources"] == [execution]
        detail = event["detail"]
        assert detail["stopDate"] >= detail["startDate"] > 1_700_000_000_000
        assert {key: value for key, value in detail.items() if key not in ("startDate", "stopDate")} == {
            "executionArn": execution,
            "stateMachineArn": machine,
            "name": "churn-7",
            "status": "SUCCEEDED",
            "input": '{"run": 7}',
            "inputDetails": {"included": True},
            "output": '{"run":7}',
            "outputDetails": {"included": True},
            "error": None,
            "cause": None,
            "redriveCount": 0,
            "redriveDate": None,
            "redriveStatus": "NOT_REDRIVABLE",
            "redriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
            "stateMachineVersionArn": None,
            "stateMachineAliasArn": None,
        }

    def test_a_failure_sends_its_error_and_cause(
        self, states: StateMachines, listener: Callable[[str], Listener]
    ) -> None:
        machine = states.create({"Fail": {"Type": "Fail", "Error": "Bad", "Cause": "input"}})
        listening = listener(machine)
        states.start(machine)
        detail = listening.wait_for(lambda event: event["detail"]["status"] == "FAILED")["detail"]
        assert (detail["error"], detail["cause"], detail["output"]) == ("Bad", "input", None)
        assert detail["redriveStatus"] == "REDRIVABLE"

    def test_a_timeout_and_a_stop_send_their_status(
        self, states: StateMachines, listener: Callable[[str], Listener]
    ) -> None:
        machine = states.create(WAIT, TimeoutSeconds=1)
        listening = listener(machine)
        states.start(machine)
        timed_out = listening.wait_for(lambda event: event["detail"]["status"] == "TIMED_OUT")["detail"]
        assert timed_out["error"] == "States.Timeout"
        execution = states.start(machine)
        states.client.stop_execution(executionArn=execution, error="Stopped", cause="by hand")
        aborted = listening.wait_for(lambda event: event["detail"]["status"] == "ABORTED")["detail"]
        assert (aborted["error"], aborted["cause"]) == ("Stopped", "by hand")

    def test_a_redrive_is_running_again(
        self, states: StateMachines, listener: Callable[[str], Listener]
    ) -> None:
        machine = states.create({"Fail": {"Type": "Fail", "Error": "Bad"}})
        listening = listener(machine)
        execution = states.start(machine)
        states.wait(execution)
        states.client.redrive_execution(executionArn=execution)
        listening.wait_for(
            lambda event: bool(event["detail"]["redriveCount"] and event["detail"]["stopDate"])
        )
        statuses = [event["detail"]["status"] for event in listening.poll()]
        assert statuses == ["RUNNING", "FAILED", "RUNNING", "FAILED"]


class TestHistory:
    def test_it_comes_in_pages_in_either_direction(self, states: StateMachines) -> None:
        chain = {f"P{n}": {"Type": "Pass", "Next": f"P{n + 1}"} for n in range(30)}
        execution = states.wait(states.start(states.create({**chain, "P30": {"Type": "Pass", "End": True}})))
        arn = execution["executionArn"]
        first = states.client.get_execution_history(executionArn=arn, maxResults=10)
        assert len(first["events"]) == 10
        second = states.client.get_execution_history(
            executionArn=arn, maxResults=10, nextToken=first["nextToken"]
        )
        assert [event["id"] for event in first["events"] + second["events"]] == list(range(1, 21))
        assert len(states.history(arn)) == 64
        latest = states.client.get_execution_history(executionArn=arn, maxResults=1, reverseOrder=True)
        assert latest["events"][0]["type"] == "ExecutionSucceeded"

    def test_events_point_to_the_one_before_in_their_branch(self, states: StateMachines) -> None:
        ended = states.run(each(PASS, MaxConcurrency=1), [1, 2])
        events = {event["id"]: event for event in states.history(ended["executionArn"])}
        entered = [event for event in events.values() if event["type"] == "PassStateEntered"]
        assert len(entered) == 2
        assert all(events[event["previousEventId"]]["type"] == "MapIterationStarted" for event in entered)

    def test_a_state_is_entered_with_its_input_and_left_with_its_output(self, states: StateMachines) -> None:
        ended = states.run({"Call": states.direct({"a": 1})}, {"b": "é"})
        events = {event["type"]: event for event in states.history(ended["executionArn"])}
        assert events["TaskStateEntered"]["stateEnteredEventDetails"]["input"] == '{"b":"é"}'
        assert json.loads(events["TaskStateExited"]["stateExitedEventDetails"]["output"]) == {"got": {"a": 1}}
        assert (
            events["LambdaFunctionScheduled"]["lambdaFunctionScheduledEventDetails"]["resource"]
            == states.function
        )


def test_tasks_of_other_services_are_called(states: StateMachines) -> None:
    queue = states.queue()
    send = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": queue, "MessageBody": {"token.$": "$$.Task.Token"}},
        "TimeoutSeconds": 30,
        "End": True,
    }
    execution = states.start(states.create({"Send": send}))
    states.client.send_task_success(taskToken=states.token(execution, queue), output="1")
    assert states.wait(execution)["status"] == "SUCCEEDED"


def test_a_distributed_map_waits_for_the_tokens_of_its_children(states: StateMachines) -> None:
    queue = states.queue()
    definition = each({"Wait": states.callback({"announce": queue, "n.$": "$"})})
    definition["Each"]["ItemProcessor"]["ProcessorConfig"] = {
        "Mode": "DISTRIBUTED",
        "ExecutionType": "STANDARD",
    }
    execution = states.start(states.create(definition), [1, 2])
    for call in states.calls(queue, 2):
        states.client.send_task_success(taskToken=call["token"], output=str(call["n"]))
    assert json.loads(states.wait(execution)["output"]) == [1, 2]


def test_a_nested_execution_is_waited_for(states: StateMachines) -> None:
    child = states.create(PASS)
    nested = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": child, "Input": {"a": 1}, "Name": str(uuid.uuid4())},
        "End": True,
    }
    assert states.output({"Nested": nested})["Output"] == {"a": 1}


def test_waiting_executions_do_not_hold_up_others(states: StateMachines) -> None:
    waiting = states.create(WAIT)
    held = [states.start(waiting) for _ in range(40)]
    assert states.output(PASS, {"a": 1}) == {"a": 1}
    assert {states.client.describe_execution(executionArn=each)["status"] for each in held} == {"RUNNING"}
    threads = [
        threading.Thread(target=states.client.stop_execution, kwargs={"executionArn": execution})
        for execution in held
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {states.wait(execution)["status"] for execution in held} == {"ABORTED"}


BROKEN = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}}
WHY = "MISSING_TRANSITION_TARGET: Missing 'Next' target: B at /States/A/Next"


def test_a_broken_definition_is_refused_and_nothing_is_made_or_changed(states: StateMachines) -> None:
    client, name, text = states.client, states.unique("broken"), json.dumps(BROKEN)
    with pytest.raises(client.exceptions.InvalidDefinition, match=re.escape(WHY)):
        client.create_state_machine(name=name, definition=text, roleArn=states.role)
    machine = states.create({"A": {"Type": "Pass", "End": True}})
    assert not [each for each in client.list_state_machines()["stateMachines"] if each["name"] == name]
    with pytest.raises(client.exceptions.InvalidDefinition, match=re.escape(WHY)):
        client.update_state_machine(stateMachineArn=machine, definition=text)
    assert states.wait(states.start(machine))["status"] == "SUCCEEDED"


def test_a_definition_is_validated_without_being_stored(states: StateMachines) -> None:
    validated = states.client.validate_state_machine_definition(definition=json.dumps(BROKEN), maxResults=1)
    assert (validated["result"], validated["truncated"]) == ("FAIL", True)
    (diagnostic,) = validated["diagnostics"]
    assert diagnostic == {
        "severity": "ERROR",
        "code": "MISSING_TRANSITION_TARGET",
        "message": "Missing 'Next' target: B",
        "location": "/States/A/Next",
    }


def test_executions_are_counted_and_timed_in_metrics(states: StateMachines, cloud: LocalCloud) -> None:
    machine = states.create({"A": {"Type": "Fail"}})
    assert states.wait(states.start(machine))["status"] == "FAILED"

    def total(name: str) -> float:
        now = datetime.now(UTC)
        found = cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/States",
            MetricName=name,
            Dimensions=[{"Name": "StateMachineArn", "Value": machine}],
            StartTime=now - timedelta(minutes=10),
            EndTime=now + timedelta(minutes=1),
            Period=3600,
            Statistics=["SampleCount"],
        )
        return sum(float(each["SampleCount"]) for each in found["Datapoints"])

    counted = {name: total(name) for name in ("ExecutionsStarted", "ExecutionsFailed", "ExecutionTime")}
    assert counted == dict.fromkeys(counted, 1)
    assert total("ExecutionsSucceeded") == 0
