"""The task of a step: what it knows, how it tells what it does, and how it is stopped."""

from __future__ import annotations

import re
import secrets
import string
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from sluice_local.sagemaker.api.core import Item, Scope
from sluice_local.sagemaker.pipelines.definition.resolving import Values, resolved
from sluice_local.sagemaker.pipelines.definition.steps import Step

NAME_LENGTH_MAX = 63
_RANDOM = string.ascii_letters + string.digits


class StepFailedError(Exception):
    """The step fails for this reason; `fault` is what a retry policy may name."""

    def __init__(self, reason: str, fault: str | None = None, metadata: Item | None = None) -> None:
        super().__init__(reason)
        self.reason, self.fault, self.metadata = reason, fault, metadata


class StepStoppedError(Exception):
    """The step was stopped with its execution."""


class Tell(Protocol):
    """What notes how far a step is."""

    def __call__(self, metadata: Item, remark: str | None = None) -> None: ...


def display_name(step: str) -> str:
    """Return a step's name as a trial component may be called: without the `_` that names of `@step` have."""
    return re.sub("[^a-zA-Z0-9]", "-", step).strip("-")


class Task:
    """What one step has to do."""

    def __init__(self, scope: Scope, execution: Item, step: Step, values: Values, tell: Tell) -> None:
        self.scope, self.execution, self.step, self.values = scope, execution, step, values
        self.stopping = threading.Event()
        self.tell = tell
        """Note the step's metadata, and that it executes; a remark is the description of a step without."""
        self._stop: Callable[[], None] | None = None
        self._lock = threading.Lock()

    @property
    def role(self) -> str:
        """The pipeline's role, with which the step acts."""
        role: str = self.execution["_RoleArn"]
        return role

    @property
    def arguments(self) -> dict[str, Any]:
        """The step's arguments without references; raises ResolutionError."""
        return dict(resolved(dict(self.step.arguments), self.values))

    def text(self, member: str) -> str:
        """Return a member beside the arguments, resolved; raises StepFailedError if it is no text."""
        value = resolved(self.step.own.get(member), self.values)
        if not isinstance(value, str):
            raise StepFailedError(f"ClientError: {member} must be text, not {value!r}.")
        return value

    def tracked(self, request: Item) -> Item:
        """Return a job's request with what SageMaker adds: whose step it is, and of which trial a part."""
        tags = {
            "sagemaker:pipeline-execution-arn": self.execution["PipelineExecutionArn"],
            "sagemaker:pipeline-step-name": self.step.name,
        }
        config = self.execution.get("PipelineExperimentConfig")
        trial = {**config, "TrialComponentDisplayName": display_name(self.step.name)} if config else None
        return {
            **({"ExperimentConfig": trial} if trial else {}),
            **request,
            "Tags": [*request.get("Tags", ()), *({"Key": key, "Value": tags[key]} for key in tags)],
        }

    def name(self, prefix: Any = None, length_max: int = NAME_LENGTH_MAX) -> str:
        """Return a name for what the step makes, as SageMaker makes them."""
        identifier = self.values.execution["PipelineExecutionId"]
        random = "".join(secrets.choice(_RANDOM) for _ in range(10))
        start = prefix or f"pipelines-{identifier}-{self.step.name}"
        end = f"-{identifier}-{random}" if prefix else f"-{random}"
        return f"{start[: length_max - len(end)].rstrip('-')}{end}".replace("_", "-")

    def on_stop(self, action: Callable[[], None]) -> None:
        """Do this when the step is to stop: at once, if it already is."""
        with self._lock:
            self._stop = action
            is_late = self.stopping.is_set()
        if is_late:
            action()

    def stop(self) -> None:
        """Have the step stop."""
        with self._lock:
            self.stopping.set()
            action = self._stop
        if action:
            action()

    def outputs(self, found: Mapping[str, Any], whose: str) -> dict[str, Any]:
        """Return the declared output parameters; raises StepFailedError if one is missing."""
        declared = [output["OutputName"] for output in self.step.own.get("OutputParameters") or ()]
        if missing := [name for name in declared if found.get(name) is None]:
            raise StepFailedError(
                f"ClientError: {whose} gave no value for the output parameter {missing[0]}."
            )
        return {name: found[name] for name in declared}
