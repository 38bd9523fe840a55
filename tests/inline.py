"""Run state machines in virtual time: nothing sleeps, and each thing is done as soon as it begins."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sluice_local.states import execution as interpreter
from sluice_local.states import history
from sluice_local.states.history import Execution
from sluice_local.states.scope import StopScope

# (task input, token) -> what the resource answers
Resource = Callable[[Any, str], Any]
MACHINE_ARN = "arn:aws:states:eu-central-1:123456789012:stateMachine:machine"


class Inline:
    """Outside of an execution. `meanwhile` is what happens elsewhere while a task waits for its answer."""

    def __init__(
        self, resources: Mapping[str, Resource] | None = None, meanwhile: Callable[[], object] = lambda: None
    ) -> None:
        self.resources = dict(resources or {})
        self.meanwhile = meanwhile
        self.began = datetime(2030, 1, 1, tzinfo=UTC)
        self.elapsed_s = 0.0

    def now(self) -> datetime:
        return self.began + timedelta(seconds=self.elapsed_s)

    def seconds(self) -> float:
        return self.elapsed_s

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        if not event.is_set():
            self.meanwhile()
        if not event.is_set():
            self.elapsed_s += max(timeout_s, 0)
        return event.is_set()

    def draw(self, low: float, high: float) -> float:
        return high

    def begin(self, work: Callable[[], None]) -> None:
        work()

    def run_all(self, jobs: Sequence[Callable[[StopScope], None]], at_once: int, parent: StopScope) -> None:
        for job in jobs:
            job(parent.below())

    def call(self, resource: str, task_input: Any, token: str) -> Any:
        return json.loads(json.dumps(self.resources[resource](task_input, token)))

    def evaluate(self, expression: str, value: Any, context: Any, result: Any, error_output: Any) -> Any:
        raise NotImplementedError

    def distribute(self, *given: Any) -> Any:
        raise NotImplementedError


def new_execution(value: Any, name: str = "run", machine_arn: str = MACHINE_ARN) -> Execution:
    """An execution that was just started."""
    return {
        "executionArn": f"{machine_arn.replace(':stateMachine:', ':execution:')}:{name}",
        "stateMachineArn": machine_arn,
        "name": name,
        "input": json.dumps(value),
        "status": "RUNNING",
        "startDate": "2030-01-01T00:00:00.000Z",
        "stopDate": None,
        "output": None,
        "error": None,
        "cause": None,
        "events": [],
    }


def run(
    definition: Mapping[str, Any],
    value: Any,
    outside: Inline,
    execution: Execution | None = None,
    scope: StopScope | None = None,
) -> Execution:
    """The execution, which has ended."""
    running = execution or new_execution(value)
    machine = {"definition": json.dumps(definition), "name": "machine", "roleArn": "arn:aws:iam::1:role/any"}
    stamp = outside.now().isoformat
    interpreter.run(
        running,
        machine,
        outside,
        scope or StopScope(outside),
        lambda end: history.close(running, end, stamp()),
    )
    return running


def entered(execution: Execution) -> list[str]:
    """The names of the states that an execution went through, in order."""
    details = (event.get("stateEnteredEventDetails") for event in execution["events"])
    return [each["name"] for each in details if each]


def seconds_between(began: str, ended: str) -> float:
    """How long it is from one time to another."""
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()
