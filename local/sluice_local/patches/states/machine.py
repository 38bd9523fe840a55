"""Walk the states of a machine, of a Parallel branch or of a Map iteration, and remember how far it came."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import stepfunctions

from sluice_local.patches.states import fields
from sluice_local.patches.states.data import check_size, dumps
from sluice_local.patches.states.history import Execution, Trail
from sluice_local.patches.states.retry import Retries, matches
from sluice_local.patches.states.scope import StopScope, run_concurrently
from sluice_local.patches.states.tasks import Context, State, run_task

# {"input", "state": where it is or failed, "children": of a Map or Parallel state, "output": at its end}
Progress = dict[str, Any]
Next = tuple[Any, str | None]

_logger = logging.getLogger(__name__)
# What stops the children of the Distributed Map that ministack is running in this thread.
_distributing: ContextVar[StopScope | None] = ContextVar("distributing", default=None)
_WAIT_FIELDS = frozenset({"Seconds", "SecondsPath", "Timestamp", "TimestampPath"})


class Machine:
    """One walk. With a progress that is not at its start, it goes on from there: so a redrive does."""

    def __init__(
        self,
        definition: dict[str, Any],
        progress: Progress,
        context: Context,
        execution: Execution,
        scope: StopScope,
        trail: Trail,
    ) -> None:
        self._definition = definition
        self._progress = progress
        self._context = context
        self._execution = execution
        self._scope = scope
        self._trail = trail

    def run(self) -> Any:
        """The machine's output. Raises the error that no Retry or Catch handled."""
        value = self._progress["input"]
        name = self._progress.setdefault("state", self._definition["StartAt"])
        while name is not None:
            self._scope.check()
            self._progress.update(state=name, input=value)
            value, name = self._run_state(name, value)
            self._progress.pop("children", None)
        self._progress.update(state=None, output=value)
        return value

    def _run_state(self, name: str, value: Any) -> Next:
        state = self._definition["States"].get(name)
        if state is None:
            raise stepfunctions._ExecutionError("States.Runtime", f"State '{name}' is not defined")
        kind = state["Type"]
        self._context["State"] = {"Name": name, "EnteredTime": now_iso(), "RetryCount": 0}
        entered = {"name": name, "input": dumps(value), "inputDetails": {"truncated": False}}
        self._trail.add(f"{kind}StateEntered", stateEnteredEventDetails=entered)
        output, following = self._handle(kind, state, value)
        left = {"name": name, "output": check_size(output, name), "outputDetails": {"truncated": False}}
        self._trail.add(f"{kind}StateExited", stateExitedEventDetails=left)
        return output, following

    def _handle(self, kind: str, state: State, value: Any) -> Next:
        try:
            return _HANDLERS[kind](self, state, value)
        except stepfunctions._ExecutionError:
            raise
        except Exception as error:
            _logger.exception("a %s state of %s", kind, self._execution["executionArn"])
            raise stepfunctions._ExecutionError("States.Runtime", str(error)) from error

    def _pass(self, state: State, value: Any) -> Next:
        output, following = stepfunctions._execute_pass(state, value, self._context)
        return output, following

    def _choose(self, state: State, value: Any) -> Next:
        output, following = stepfunctions._execute_choice(state, value, self._context)
        return output, following

    def _succeed(self, state: State, value: Any) -> Next:
        effective = stepfunctions._apply_input_path(state, value, self._context)
        return stepfunctions._apply_output_path(state, effective, self._context), None

    def _fail(self, state: State, value: Any) -> Next:
        raise stepfunctions._ExecutionError(*stepfunctions._fail_state_error(state, value, self._context))

    def _wait(self, state: State, value: Any) -> Next:
        self._scope.sleep(fields.seconds_to_wait(state, value, self._context) * stepfunctions._SFN_WAIT_SCALE)
        rest = {field: content for field, content in state.items() if field not in _WAIT_FIELDS}
        output, following = stepfunctions._execute_wait(rest, value, self._context)
        return output, following

    def _task(self, state: State, value: Any) -> Next:
        def attempt() -> Next:
            result = run_task(state, value, self._context, self._scope, self._trail)
            return self._output(state, value, result)

        return self._handling_errors(state, value, attempt)

    def _parallel(self, state: State, value: Any) -> Next:
        def attempt() -> Next:
            effective = stepfunctions._apply_input_path(state, value, self._context)
            branch_input = stepfunctions._apply_parameters(state, effective, self._context)
            children = self._children([branch_input] * len(state["Branches"]))
            self._trail.add("ParallelStateStarted")
            jobs = [
                partial(self._run_branch, branch, child)
                for branch, child in zip(state["Branches"], children, strict=True)
                if "output" not in child
            ]
            return self._output(state, value, self._outputs("Parallel", jobs, len(jobs), children))

        return self._handling_errors(state, value, attempt)

    def _map(self, state: State, value: Any) -> Next:
        processor = state.get("ItemProcessor") or state["Iterator"]
        if (processor.get("ProcessorConfig") or {}).get("Mode") == "DISTRIBUTED":
            return self._distributed_map(state, value, processor)
        name = self._context["State"]["Name"]

        def attempt() -> Next:
            effective = stepfunctions._apply_input_path(state, value, self._context)
            items = fields.items(state, value, effective, self._context)
            contexts = [fields.item_context(self._context, index, item) for index, item in enumerate(items)]
            children = self._children([fields.item_input(state, value, effective, each) for each in contexts])
            self._trail.add("MapStateStarted", mapStateStartedEventDetails={"length": len(items)})
            jobs = [
                partial(self._run_iteration, processor, child, context, {"name": name, "index": index})
                for index, (child, context) in enumerate(zip(children, contexts, strict=True))
                if "output" not in child
            ]
            concurrency = fields.concurrency(state, value, effective, self._context)
            return self._output(state, value, self._outputs("Map", jobs, concurrency, children))

        return self._handling_errors(state, value, attempt)

    def _distributed_map(self, state: State, value: Any, processor: dict[str, Any]) -> Next:
        def attempt() -> Next:
            _distributing.set(self._scope)
            effective = stepfunctions._apply_input_path(state, value, self._context)
            output, following = stepfunctions._run_distributed_map(
                state, value, effective, processor, self._execution, self._context
            )
            return output, following

        return self._handling_errors(state, value, attempt)

    def _handling_errors(self, state: State, value: Any, attempt: Callable[[], Next]) -> Next:
        """Run attempts under the state's Retry and Catch."""
        retries = Retries(state.get("Retry", []))
        own_state = self._context["State"]
        while True:
            self._context["State"] = {**own_state, "RetryCount": retries.count}
            try:
                return attempt()
            except stepfunctions._ExecutionError as error:
                names = getattr(error, "names", frozenset({error.error}))
                delay_s = retries.next_delay_s(names)
                if delay_s is None:
                    return self._catch(state, value, error, names)
                self._progress.pop("children", None)
                self._scope.sleep(delay_s * stepfunctions._SFN_WAIT_SCALE)

    def _catch(self, state: State, value: Any, error: Any, names: frozenset[str]) -> Next:
        for catcher in state.get("Catch", []):
            if matches(catcher["ErrorEquals"], names):
                language = stepfunctions._state_query_language(state, self._context)
                caught = {"Error": error.error, "Cause": error.cause}
                output = stepfunctions._apply_catcher(catcher, value, self._context, language, caught)
                return output, catcher["Next"]
        raise error

    def _output(self, state: State, value: Any, result: Any) -> Next:
        following = stepfunctions._next_or_end(state)
        if stepfunctions._state_query_language(state, self._context) == "JSONata":
            output = stepfunctions._apply_jsonata_output(
                state, value, self._context, result=result, default=result
            )
            stepfunctions._apply_state_assign(state, value, self._context, result=result)
            return output, following
        if selector := state.get("ResultSelector"):
            result = stepfunctions._resolve_params_obj(selector, result, self._context)
        output = stepfunctions._apply_result_path(state, value, result)
        return stepfunctions._apply_output_path(state, output, self._context), following

    def _children(self, inputs: Sequence[Any]) -> list[Progress]:
        """The progress of each branch or iteration: new, or as far as they came before a redrive."""
        children: list[Progress] = self._progress.setdefault("children", [{"input": each} for each in inputs])
        return children

    def _outputs(
        self,
        kind: str,
        jobs: Sequence[Callable[[StopScope], None]],
        concurrency: int,
        children: Sequence[Progress],
    ) -> list[Any]:
        try:
            run_concurrently(jobs, concurrency, self._scope)
        except stepfunctions._ExecutionError:
            self._trail.add(f"{kind}StateFailed")
            raise
        self._trail.add(f"{kind}StateSucceeded")
        return [child["output"] for child in children]

    def _run_branch(self, branch: dict[str, Any], child: Progress, scope: StopScope) -> None:
        trail = Trail(self._execution, self._trail.last_id)
        Machine(branch, child, copy.deepcopy(self._context), self._execution, scope, trail).run()

    def _run_iteration(
        self,
        processor: dict[str, Any],
        child: Progress,
        context: Context,
        iteration: dict[str, Any],
        scope: StopScope,
    ) -> None:
        trail = Trail(self._execution, self._trail.last_id)
        trail.add("MapIterationStarted", mapIterationStartedEventDetails=iteration)
        outcome = "Aborted"
        try:
            Machine(processor, child, context, self._execution, scope, trail).run()
            outcome = "Succeeded"
        except stepfunctions._ExecutionError:
            outcome = "Failed"
            raise
        finally:
            trail.add(f"MapIteration{outcome}", **{f"mapIteration{outcome}EventDetails": iteration})


_HANDLERS: dict[str, Callable[[Machine, State, Any], Next]] = {
    "Pass": Machine._pass,
    "Choice": Machine._choose,
    "Wait": Machine._wait,
    "Succeed": Machine._succeed,
    "Fail": Machine._fail,
    "Task": Machine._task,
    "Parallel": Machine._parallel,
    "Map": Machine._map,
}


def run_child_workflow(
    states: dict[str, Any], start_at: str, value: Any, execution: Execution, context: Context
) -> Any:
    """One child of a Distributed Map, for ministack's own implementation of it."""
    definition = {"StartAt": start_at, "States": states}
    scope = StopScope(_distributing.get())
    return Machine(definition, {"input": value}, context, execution, scope, Trail(execution)).run()
