"""Walk the states of a machine, a Parallel branch or a Map iteration, and record the progress."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sluice_local.states import fields
from sluice_local.states.data import check_size, dumps, stamp
from sluice_local.states.errors import ExecutionError
from sluice_local.states.history import Trail
from sluice_local.states.language import Language, language_of
from sluice_local.states.outside import Context, Outside, State
from sluice_local.states.retry import Retries, matches
from sluice_local.states.scope import StopScope
from sluice_local.states.tasks import Attempt

# {"input", "state": where it is or failed, "children": of a Map or Parallel state, "output": at its end}
Progress = dict[str, Any]
Next = tuple[Any, str | None]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Machine:
    """One walk, which continues from its progress, as a redrive does."""

    definition: dict[str, Any]
    progress: Progress
    context: Context
    scope: StopScope
    trail: Trail
    outside: Outside

    def run(self) -> Any:
        """Return the machine's output; raises an error that no Retry or Catch handled."""
        value = self.progress["input"]
        name = self.progress.setdefault("state", self.definition["StartAt"])
        while name is not None:
            self.scope.check()
            self.progress.update(state=name, input=value)
            value, name = self._run_state(name, value)
            self.progress.pop("children", None)
        self.progress.update(state=None, output=value)
        return value

    def _run_state(self, name: str, value: Any) -> Next:
        state = self.definition["States"].get(name)
        if state is None:
            raise ExecutionError("States.Runtime", f"State '{name}' is not defined")
        kind = state["Type"]
        self.context["State"] = {"Name": name, "EnteredTime": stamp(self.outside.now()), "RetryCount": 0}
        entered = {"name": name, "input": dumps(value), "inputDetails": {"truncated": False}}
        self.trail.add(f"{kind}StateEntered", stateEnteredEventDetails=entered)
        output, following = self._handle(kind, state, value)
        left = {"name": name, "output": check_size(output, name), "outputDetails": {"truncated": False}}
        self.trail.add(f"{kind}StateExited", stateExitedEventDetails=left)
        return output, following

    def _handle(self, kind: str, state: State, value: Any) -> Next:
        language = language_of(state, self.context, self.outside.evaluate)
        try:
            return _HANDLERS[kind](self, state, language, value)
        except ExecutionError:
            raise
        except Exception as error:
            _logger.exception("a %s state of %s", kind, self.context["Execution"]["Id"])
            raise ExecutionError("States.Runtime", str(error)) from error

    def _pass(self, state: State, language: Language, value: Any) -> Next:
        return language.passed(value), _following(state)

    def _choose(self, state: State, language: Language, value: Any) -> Next:
        return language.chosen(value)

    def _succeed(self, state: State, language: Language, value: Any) -> Next:
        return language.unchanged(value), None

    def _fail(self, state: State, language: Language, value: Any) -> Next:
        error = language.text("Error", value, "States.Fail")
        raise ExecutionError(error, language.text("Cause", value, ""))

    def _wait(self, state: State, language: Language, value: Any) -> Next:
        self.scope.sleep(fields.seconds_to_wait(language, value, self.outside.now()))
        return language.unchanged(value), _following(state)

    def _task(self, state: State, language: Language, value: Any) -> Next:
        def attempt() -> Next:
            task = Attempt(state, language, self.context, self.scope, self.trail, self.outside)
            return language.output(value, task.run(value)), _following(state)

        return self._handling_errors(state, language, value, attempt)

    def _parallel(self, state: State, language: Language, value: Any) -> Next:
        def attempt() -> Next:
            branch_input = language.arguments(value)
            children = self._children([branch_input] * len(state["Branches"]))
            self.trail.add("ParallelStateStarted")
            jobs = [
                partial(self._run_branch, branch, child)
                for branch, child in zip(state["Branches"], children, strict=True)
                if "output" not in child
            ]
            outputs = self._outputs("Parallel", jobs, len(jobs), children)
            return language.output(value, outputs), _following(state)

        return self._handling_errors(state, language, value, attempt)

    def _map(self, state: State, language: Language, value: Any) -> Next:
        processor = state.get("ItemProcessor") or state["Iterator"]
        if (processor.get("ProcessorConfig") or {}).get("Mode") == "DISTRIBUTED":
            return self._distributed_map(state, language, value)
        name = self.context["State"]["Name"]

        def attempt() -> Next:
            items = fields.items(state, language, value)
            contexts = [fields.item_context(self.context, index, item) for index, item in enumerate(items)]
            children = self._children([fields.item_input(state, language, value, each) for each in contexts])
            self.trail.add("MapStateStarted", mapStateStartedEventDetails={"length": len(items)})
            jobs = [
                partial(self._run_iteration, processor, child, context, {"name": name, "index": index})
                for index, (child, context) in enumerate(zip(children, contexts, strict=True))
                if "output" not in child
            ]
            outputs = self._outputs("Map", jobs, fields.concurrency(language, value), children)
            return language.output(value, outputs), _following(state)

        return self._handling_errors(state, language, value, attempt)

    def _distributed_map(self, state: State, language: Language, value: Any) -> Next:
        def attempt() -> Next:
            effective = language.effective(value)
            output = self.outside.distribute(state, value, effective, self.context, self.scope)
            return output, _following(state)

        return self._handling_errors(state, language, value, attempt)

    def _handling_errors(
        self, state: State, language: Language, value: Any, attempt: Callable[[], Next]
    ) -> Next:
        """Run attempts under the state's Retry and Catch."""
        retries = Retries(state.get("Retry", []), self.outside.draw)
        own_state = self.context["State"]
        while True:
            self.context["State"] = {**own_state, "RetryCount": retries.count}
            try:
                return attempt()
            except ExecutionError as error:
                delay_s = retries.next_delay_s(error.names)
                if delay_s is None:
                    return _caught(state, language, value, error)
                self.progress.pop("children", None)
                self.scope.sleep(delay_s)

    def _children(self, inputs: Sequence[Any]) -> list[Progress]:
        """Return the progress of each branch or iteration, which a redrive continues."""
        children: list[Progress] = self.progress.setdefault("children", [{"input": each} for each in inputs])
        return children

    def _outputs(
        self,
        kind: str,
        jobs: Sequence[Callable[[StopScope], None]],
        concurrency: int,
        children: Sequence[Progress],
    ) -> list[Any]:
        try:
            self.outside.run_all(jobs, concurrency, self.scope)
        except ExecutionError:
            self.trail.add(f"{kind}StateFailed")
            raise
        self.trail.add(f"{kind}StateSucceeded")
        return [child["output"] for child in children]

    def _run_branch(self, branch: dict[str, Any], child: Progress, scope: StopScope) -> None:
        context = copy.deepcopy(self.context)
        Machine(branch, child, context, scope, self.trail.branch(), self.outside).run()

    def _run_iteration(
        self,
        processor: dict[str, Any],
        child: Progress,
        context: Context,
        iteration: dict[str, Any],
        scope: StopScope,
    ) -> None:
        trail = self.trail.branch()
        trail.add("MapIterationStarted", mapIterationStartedEventDetails=iteration)
        outcome = "Aborted"
        try:
            Machine(processor, child, context, scope, trail, self.outside).run()
            outcome = "Succeeded"
        except ExecutionError:
            outcome = "Failed"
            raise
        finally:
            trail.add(f"MapIteration{outcome}", **{f"mapIteration{outcome}EventDetails": iteration})


def _caught(state: State, language: Language, value: Any, error: ExecutionError) -> Next:
    for catcher in state.get("Catch", []):
        if matches(catcher["ErrorEquals"], error.names):
            output = language.caught(catcher, value, {"Error": error.error, "Cause": error.cause})
            return output, catcher["Next"]
    raise error


def _following(state: State) -> str | None:
    return None if state.get("End") else state.get("Next")


_HANDLERS: dict[str, Callable[[Machine, State, Language, Any], Next]] = {
    "Pass": Machine._pass,
    "Choice": Machine._choose,
    "Wait": Machine._wait,
    "Succeed": Machine._succeed,
    "Fail": Machine._fail,
    "Task": Machine._task,
    "Parallel": Machine._parallel,
    "Map": Machine._map,
}
