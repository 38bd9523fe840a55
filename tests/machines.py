"""Play the state machines that are deployed, over the fakes: their tasks are the template's functions."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import asl
import fakes
from inline import Inline, new_execution, run
from sluice.domain.times import from_iso
from sluice_local.states.errors import ExecutionError
from sluice_local.states.history import Execution
from sluice_local.states.scope import StopScope
from sluice_local.states.tokens import pending

ROOT = Path(__file__).parent.parent
INVOKE = "arn:aws:states:::lambda:invoke"

Definition = dict[str, Any]
# (function, payload) -> result
Invoke = Callable[[str, Any], Any]


def load(name: str) -> Definition:
    """A copy of `statemachines/<name>.asl.yaml`, with the template's substitutions."""
    copied: Definition = json.loads(_load(f"statemachines/{name}.asl.yaml"))
    return copied


@cache
def _load(uri: str) -> str:
    """The definition as JSON."""
    resources = asl.load_template(ROOT / "template.yaml")["Resources"]
    (machine,) = [each for each in resources.values() if each["Properties"].get("DefinitionUri") == uri]
    values = {
        name: _resource_arn(value, resources)
        for name, value in machine["Properties"]["DefinitionSubstitutions"].items()
    }
    text = json.dumps(asl.load(ROOT / uri))
    return re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], text)


def _resource_arn(value: str, resources: dict[str, Any]) -> str:
    """What `!GetAtt XFunction.Arn` is, with the function's folder for its name, or an integration's ARN."""
    resource = resources.get(value.removesuffix(".Arn"))
    if resource is None:
        return value.replace("${AWS::Partition}", "aws")
    return fakes.arn("lambda", f"function:{Path(resource['Properties']['CodeUri']).name}")


# What a state machine sees of a function whose process died, and of one that may not run now.
Crash = type("Runtime.ExitError", (Exception,), {})
Throttled = type("Lambda.TooManyRequestsException", (Exception,), {})


class BrokenTestError(BaseException):
    """Raised through an execution for what fails outside of it, which no Catch of its own may handle."""


class Functions(Inline):
    """Tasks are the functions' handlers, and the time is the cloud's.

    `before(function, payload)` is told of each call, `meanwhile` is what happens while a task waits.
    """

    def __init__(
        self,
        cloud: fakes.Cloud,
        invoke: Invoke,
        later: Callable[[float], object],
        before: Callable[[str, Any], object] = lambda function, payload: None,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(meanwhile=self._elsewhere)
        self._happens = meanwhile
        self._cloud = cloud
        self._invoke = invoke
        self._later = later
        self._before = before

    def now(self) -> datetime:
        return from_iso(self._cloud.now.at)

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        waited_from_s = self.elapsed_s
        super().wait(event, timeout_s)
        if self.elapsed_s > waited_from_s:
            self._later(self.elapsed_s - waited_from_s)
        return event.is_set()

    def _elsewhere(self) -> None:
        """Let happen what does, and deliver what was answered before and by it."""
        self._deliver_answers()
        try:
            self._happens()
        except Exception as error:
            raise BrokenTestError from error
        self._deliver_answers()

    def call(self, resource: str, task_input: Any, token: str) -> Any:
        if resource != INVOKE:
            return self._called(resource, task_input)
        return {"StatusCode": 200, "Payload": self._called(task_input["FunctionName"], task_input["Payload"])}

    def _called(self, function_arn: str, payload: Any) -> Any:
        function = function_arn.rpartition(":")[2]
        self._before(function, payload)
        try:
            return json.loads(json.dumps(self._invoke(function, payload)))
        except Exception as error:
            cause = {"errorMessage": str(error), "errorType": type(error).__name__}
            raise ExecutionError(type(error).__name__, json.dumps(cause)) from error

    def _deliver_answers(self) -> None:
        """Step Functions' part of SendTaskSuccess and SendTaskFailure."""
        for token, output in self._cloud.workflows.answers:
            if task := pending(token):
                task.succeed(output)
        for token, error, cause in self._cloud.workflows.failures:
            if task := pending(token):
                task.fail(ExecutionError(error, cause))


def play(definition: Definition, execution_arn: str, outside: Functions, cloud: fakes.Cloud) -> Execution:
    """Run an execution that a function started to its end, as far as nothing stops it."""
    started = cloud.workflows.executions[execution_arn]
    machine_arn = execution_arn.replace(":execution:", ":stateMachine:").rpartition(":")[0]
    execution = new_execution(started["input"], started["name"], machine_arn)
    ended = run(definition, started["input"], outside, execution, StopScope(outside))
    started["status"] = ended["status"]
    return ended


def interfere(world: Any, function: str, error: type[Exception], times: int = 1, only: str = "") -> list[str]:
    """Let a function fail with an error; what is listed is how often it did. `only` is in what it is sent."""
    invoke = world.invoke
    failures: list[str] = []

    def fail(name: str, payload: Any) -> Any:
        if name == function and len(failures) < times and only in json.dumps(payload):
            failures.append(name)
            raise error("no reason")
        return invoke(name, payload)

    world.invoke = fail
    return failures


def break_at(definition: Definition, path: str, value: Any) -> None:
    """Put a value at a path such as `EvaluateModels/EvaluateModel/Catch`, or take away what is there."""
    *names, field = path.split("/")
    states = definition["States"]
    for name in names[:-1]:
        states = states[name]["ItemProcessor"]["States"]
    state = states[names[-1]]
    assert field in state
    if value is None:
        del state[field]
    else:
        state[field] = value
