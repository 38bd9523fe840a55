"""Run one step: from the cache, or by attempts, as its retry policies say."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sluice_local.sagemaker.api.core import ApiError, Item, Scope, now
from sluice_local.sagemaker.pipelines import access, cached, contents, stored
from sluice_local.sagemaker.pipelines.announcements import change_step
from sluice_local.sagemaker.pipelines.definition.errors import ResolutionError
from sluice_local.sagemaker.pipelines.definition.resolving import Values
from sluice_local.sagemaker.pipelines.definition.retries import fault_of_code, policy_for
from sluice_local.sagemaker.pipelines.definition.steps import Step
from sluice_local.sagemaker.pipelines.work import KINDS
from sluice_local.sagemaker.pipelines.work.task import StepFailedError, StepStoppedError, Task

_REASON_LENGTH = 1024


class StepRun:
    """One step of an execution, under way."""

    def __init__(self, scope: Scope, execution: Item, step: Step, properties: dict[str, Any]) -> None:
        self.scope, self.step = scope, step
        self._key = stored.step_key(execution["PipelineExecutionName"], step.name)
        self._task = Task(scope, execution, step, self._values(execution, properties), self._tell)
        self._began = time.monotonic()
        self._lock = threading.RLock()

    def stop(self) -> None:
        """Have the step stop, as far as one of its type can."""
        with self._lock:
            if stored.STEPS.get(self.scope, self._key)["StepStatus"] in ("Starting", "Executing"):
                self._change("Stopping")
        self._task.stop()

    def execute(self) -> None:
        """Run the step to its end, which is noted and announced; raises nothing."""
        try:
            with _failures():
                entry = cached.entry(self._task)
            if found := cached.find(self._task, entry):
                self._change("Succeeded", EndTime=now(), **found)
            else:
                step = self._change("Succeeded", _Properties=self._attempts(), EndTime=now())
                cached.keep(self._task, entry, step)
        except StepStoppedError:
            self._change("Stopped", EndTime=now())
        except StepFailedError as failure:
            metadata = {"Metadata": failure.metadata} if failure.metadata else {}
            reason = failure.reason[:_REASON_LENGTH]
            self._change("Failed", EndTime=now(), FailureReason=reason or None, **metadata)
        except Exception:
            logging.getLogger(__name__).exception("step %s", self._key)
            self._change(
                "Failed", EndTime=now(), FailureReason="InternalServerError: see the local cloud's log"
            )

    def _attempts(self) -> Any:
        """Return the step's properties; raises StepFailedError if no policy wants a further attempt."""
        for retries in range(1_000_000):
            try:
                return self._attempt()
            except StepFailedError as failure:
                policy = policy_for(self.step.retry_policies, failure.fault)
                delay_s = policy.delay_s(retries, time.monotonic() - self._began) if policy else None
                if delay_s is None:
                    raise
            if self._task.stopping.wait(delay_s):
                break
            self._change("Executing", AttemptCount=retries + 2)
        raise StepStoppedError

    def _attempt(self) -> Any:
        if self._task.stopping.is_set():
            raise StepStoppedError
        with _failures():
            return KINDS[self.step.type](self._task)

    def _tell(self, metadata: Item, remark: str | None = None) -> None:
        """Note what the step works with, and that it executes."""
        with self._lock:
            step = stored.STEPS.get(self.scope, self._key)
            status = "Executing" if step["StepStatus"] == "Starting" else step["StepStatus"]
            said = {"StepDescription": step["StepDescription"] or remark}
            self._change(status, Metadata=metadata, **said)

    def _change(self, status: str, **changes: Any) -> Item:
        with self._lock:
            return change_step(self.scope, self._key, status, **changes)

    def _values(self, execution: Item, properties: dict[str, Any]) -> Values:
        storage = access.storage(self.scope, execution["_RoleArn"])
        arn = execution["PipelineExecutionArn"]
        known = {
            "PipelineName": execution["_PipelineName"],
            "PipelineArn": execution["PipelineArn"],
            "PipelineExecutionArn": arn,
            "PipelineExecutionId": arn.rpartition("/")[2],
            "StartDateTime": _iso(execution["CreationTime"]),
            "CurrentDateTime": _iso(now()),
        }
        return Values(
            execution["_Parameters"], known, properties, lambda uri: contents.read_json(storage, uri)
        )


@contextmanager
def _failures() -> Iterator[None]:
    """Raise what goes wrong as StepFailedError, in the words that SageMaker gives to it."""
    try:
        yield
    except ResolutionError as error:
        raise StepFailedError(f"ClientError: {error}") from error
    except ApiError as error:
        reason = f"ClientError: {error.code}: {error.message}"
        raise StepFailedError(reason, fault_of_code(error.code)) from error


def _iso(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
