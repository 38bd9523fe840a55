"""Run one attempt of a Task state: call, wait for a token, or leave it to an activity's worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sluice_local.states.data import check_size, dumps
from sluice_local.states.errors import ExecutionError, TaskTimedOutError
from sluice_local.states.fields import seconds_of_task
from sluice_local.states.history import Trail
from sluice_local.states.language import Language
from sluice_local.states.outside import Context, Outside, State
from sluice_local.states.scope import StopScope
from sluice_local.states.tokens import PendingTask

_CALLBACK = ".waitForTaskToken"
_ACTIVITY = ":activity:"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a Task state."""

    state: State
    language: Language
    context: Context
    scope: StopScope
    trail: Trail
    outside: Outside

    def run(self, value: Any) -> Any:
        """Return the task's result; raises its error or its timeout."""
        machine, resource = self.context["StateMachine"]["Id"], self.state["Resource"]
        task = PendingTask(machine, self.outside)
        if resource.endswith(_CALLBACK):
            self.context["Task"] = {"Token": task.token}
        task_input = self.language.arguments(value)
        check_size(task_input, resource)
        timeout_s = seconds_of_task(self.language, "TimeoutSeconds", value)
        heartbeat_s = seconds_of_task(self.language, "HeartbeatSeconds", value)
        record = _TaskRecord.of(resource, machine.split(":")[3], self.trail)
        record.scheduled(task_input, timeout_s, heartbeat_s)
        self.outside.begin(lambda: self._call(task, task_input, record))
        try:
            result = task.outcome(self.scope, timeout_s, heartbeat_s)
            output = check_size(result, resource)
        except TaskTimedOutError as error:
            record.add("TimedOut", error=error.error)
            raise
        except ExecutionError as error:
            record.add("Failed", error=error.error, cause=error.cause)
            raise
        record.add("Succeeded", output=output, outputDetails={"truncated": False})
        return result

    def _call(self, task: PendingTask, task_input: Any, record: _TaskRecord) -> None:
        """Call in parallel to the wait, so that a timeout or a stop does not wait for the call's end."""
        resource = self.state["Resource"]
        try:
            result = self.outside.call(resource.removesuffix(_CALLBACK), task_input, task.token)
        except ExecutionError as error:
            task.fail(error)
        except Exception as error:
            task.fail(ExecutionError("States.Runtime", str(error)))
        else:
            if resource.endswith(_CALLBACK):
                if not task.is_answered:
                    record.add("Submitted", output=dumps(result), outputDetails={"truncated": False})
            elif _ACTIVITY not in resource:
                task.succeed(result)


@dataclass(frozen=True, slots=True)
class _TaskRecord:
    """The history events of one attempt; functions and activities named by ARN have their own kinds."""

    kind: str
    arn: str
    region: str
    trail: Trail

    @classmethod
    def of(cls, resource: str, region: str, trail: Trail) -> _TaskRecord:
        kinds = {":function:": "LambdaFunction", _ACTIVITY: "Activity"}
        kind = next((kind for part, kind in kinds.items() if part in resource), "Task")
        return cls(kind, resource, region, trail)

    @property
    def integration(self) -> dict[str, str]:
        """The service and action of an integration."""
        if self.kind != "Task":
            return {}
        service, _, action = self.arn.removeprefix("arn:aws:states:::").rpartition(":")
        return {"resourceType": service, "resource": action}

    def scheduled(self, task_input: Any, timeout_s: float | None, heartbeat_s: float | None) -> None:
        payload = dumps(task_input)
        about = (
            {"region": self.region, "parameters": payload}
            if self.kind == "Task"
            else {"resource": self.arn, "input": payload, "inputDetails": {"truncated": False}}
        )
        self.add("Scheduled", timeoutInSeconds=timeout_s, heartbeatInSeconds=heartbeat_s, **about)
        if self.kind == "Task":
            self.add("Started")
        elif self.kind == "LambdaFunction":
            self.trail.add("LambdaFunctionStarted")

    def add(self, step: str, **details: Any) -> None:
        name = f"{self.kind[0].lower()}{self.kind[1:]}{step}EventDetails"
        self.trail.add(f"{self.kind}{step}", **{name: {**self.integration, **details}})
