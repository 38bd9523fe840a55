"""Run, end and reopen the executions in ministack's store, and announce each change."""

from __future__ import annotations

from ministack.core.responses import now_iso
from ministack.services import stepfunctions

from sluice_local.patches.states.announcements import announce
from sluice_local.patches.states.ministack import Ministack
from sluice_local.states import execution as interpreter
from sluice_local.states import history
from sluice_local.states.history import End, Execution
from sluice_local.states.scope import StopScope

_running: dict[str, StopScope] = {}


def run(execution_arn: str) -> None:
    """Run an execution from its start, or from where it failed, to its end."""
    execution = stepfunctions._executions[execution_arn]
    machine = stepfunctions._state_machines.get(execution["stateMachineArn"])
    if machine is None:  # deleted meanwhile
        close(execution, End("FAILED", "States.Runtime", f"{execution['stateMachineArn']} does not exist"))
        return
    outside = Ministack(execution, machine["roleArn"])
    scope = _running[execution_arn] = StopScope(outside)
    try:
        interpreter.run(execution, machine, outside, scope, lambda end: close(execution, end))
    finally:
        if _running.get(execution_arn) is scope:
            del _running[execution_arn]


def stop(execution: Execution, error: str | None, cause: str | None) -> bool:
    """Abort a running execution; False if it had ended already."""
    if not close(execution, End("ABORTED", error, cause)):
        return False
    scope = _running.get(execution["executionArn"])
    if scope is not None:
        scope.stop()
    return True


def close(execution: Execution, end: End) -> bool:
    """End a running execution and announce it; False if it had ended already."""
    closed = history.close(execution, end, now_iso())
    if closed:
        announce(execution)
    return closed


def reopen(execution: Execution) -> None:
    """Let an ended execution run again, and announce it."""
    history.reopen(execution, now_iso())
    announce(execution)
