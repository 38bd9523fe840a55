"""Run executions: each has a thread that begins what is ready, and one for each step that runs.

The catalog of steps is the truth: an execution that is retried goes on from the steps that succeeded.
"""

from __future__ import annotations

import logging
import queue
import threading
from typing import Any

from sluice_local.sagemaker.api.core import Item, Scope, now
from sluice_local.sagemaker.pipelines import selecting, stored
from sluice_local.sagemaker.pipelines.announcements import announce_step, change_execution, change_step
from sluice_local.sagemaker.pipelines.attempts import StepRun
from sluice_local.sagemaker.pipelines.definition import graph
from sluice_local.sagemaker.pipelines.definition.steps import Step
from sluice_local.sagemaker.pipelines.stored import EXECUTIONS, STEPS

_FAILED = "Step failure: One or multiple steps failed."
_live: dict[tuple[Scope, str], Runner] = {}
_lock = threading.RLock()


def start(scope: Scope, execution: Item) -> None:
    """Run an execution, from the steps on that have not succeeded."""
    runner = Runner(scope, execution)
    with _lock:
        _live[scope, runner.name] = runner
    threading.Thread(target=runner.run, name=f"pipeline {runner.name}", daemon=True).start()


def stop(scope: Scope, name: str) -> bool:
    """Begin to stop an execution; False if it is not executing."""
    with _lock:
        runner = _live.get((scope, name))
        if runner is None or EXECUTIONS.get(scope, name)["PipelineExecutionStatus"] != "Executing":
            return False
        change_execution(scope, name, "Stopping")
    runner.stop()
    return True


class Runner:
    """One execution under way."""

    def __init__(self, scope: Scope, execution: Item) -> None:
        self.scope = scope
        self.execution = execution
        self.name: str = execution["PipelineExecutionName"]
        self.definition = stored.definition_of(scope, execution)
        self.properties: dict[str, Any] = {}
        self.outcomes: dict[str, bool] = {}
        self._begun = selecting.left_out(execution, self.definition)
        self._running: dict[str, StepRun] = {}
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stopping = threading.Event()
        for step in stored.steps_of(scope, execution):
            self._begun.add(step["StepName"])
            self._take(step)

    def stop(self) -> None:
        """Stop what runs, and begin nothing more."""
        self._stopping.set()
        for run in list(self._running.values()):
            run.stop()

    def run(self) -> None:
        """Begin steps as they get ready, until none runs and none is ready."""
        try:
            status = self._run()
        except Exception:
            logging.getLogger(__name__).exception("pipeline execution %s", self.name)
            status = "Failed"
        with _lock:
            del _live[self.scope, self.name]
            reason = {"FailureReason": _FAILED} if status == "Failed" else {}
            change_execution(self.scope, self.name, status, _EndTime=now(), **reason)

    def _run(self) -> str:
        statuses: list[str] = []
        while True:
            if not self._stopping.is_set() and "Failed" not in statuses:
                self._begin_ready()
            if not self._running:
                break
            name = self._ended.get()
            del self._running[name]
            step = STEPS.get(self.scope, stored.step_key(self.name, name))
            self._take(step)
            statuses.append(step["StepStatus"])
        if "Failed" in statuses:
            return "Failed"
        return "Stopped" if self._stopping.is_set() else "Succeeded"

    def _take(self, step: Item) -> None:
        """Learn what a step that succeeded gives to others."""
        if step["StepStatus"] == "Succeeded":
            self.properties[step["StepName"]] = step["_Properties"]
            if step["StepType"] == "Condition":
                self.outcomes[step["StepName"]] = step["_Properties"]["Outcome"]

    def _begin_ready(self) -> None:
        definition = self.definition
        ready = graph.ready(definition.steps, definition.graph, self._begun, self.properties, self.outcomes)
        config = EXECUTIONS.get(self.scope, self.name).get("ParallelismConfiguration") or {}
        free = config.get("MaxParallelExecutionSteps", len(ready) + len(self._running)) - len(self._running)
        for name in ready[: max(0, free)]:
            self._begin(definition.steps[name])

    def _begin(self, step: Step) -> None:
        self._begun.add(step.name)
        key = stored.step_key(self.name, step.name)
        item = STEPS.replace(self.scope, key, self._started(step))
        EXECUTIONS.edit(self.scope, self.name, lambda it: {"_StepNames": [*it["_StepNames"], step.name]})
        announce_step(self.scope, item)
        self._running[step.name] = run = StepRun(self.scope, self.execution, step, dict(self.properties))
        if self._stopping.is_set():
            run.stop()
        threading.Thread(target=self._work, args=(run,), name=f"step {key}", daemon=True).start()

    def _started(self, step: Step) -> Item:
        return {
            "StepName": step.name,
            "StepDisplayName": step.display_name,
            "StepDescription": step.description,
            "StepType": step.type,
            "StepStatus": "Starting",
            "StartTime": now(),
            "AttemptCount": 1,
            "Metadata": {},
            "_PipelineArn": self.execution["PipelineArn"],
            "_PipelineExecutionArn": self.execution["PipelineExecutionArn"],
        }

    def _work(self, run: StepRun) -> None:
        try:
            run.execute()
        finally:
            self._ended.put(run.step.name)


def fail_unfinished(reason: str) -> list[str]:
    """Fail the executions that no process runs any more, and their steps; returns their names."""
    unfinished = EXECUTIONS.unfinished(lambda item: item["PipelineExecutionStatus"] in stored.UNDER_WAY)
    for scope, name in unfinished:
        for step in stored.steps_of(scope, EXECUTIONS.get(scope, name)):
            if step["StepStatus"] in ("Starting", *stored.UNDER_WAY):
                key = stored.step_key(name, step["StepName"])
                change_step(scope, key, "Failed", FailureReason=reason, EndTime=now())
        change_execution(scope, name, "Failed", FailureReason=reason, _EndTime=now())
    return [name for _, name in unfinished]
