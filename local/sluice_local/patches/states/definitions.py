"""Refuse definitions that Step Functions refuses: ministack stores any text, and fails when it is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import stepfunctions

from sluice_local.patches.states.responses import Response, answer, refuse
from sluice_local.states.definitions import Problem, problems, refusal

_MOST = 100


def install() -> None:
    """Check what is created, updated and validated."""
    stepfunctions._create_state_machine = _checked(stepfunctions._create_state_machine)
    stepfunctions._update_state_machine = _checked(stepfunctions._update_state_machine)
    stepfunctions._validate_state_machine_definition = _validate


def _checked(operation: Callable[[dict[str, Any]], Response]) -> Callable[[dict[str, Any]], Response]:
    def check(request: dict[str, Any]) -> Response:
        message = refusal(request["definition"]) if "definition" in request else None
        return refuse("InvalidDefinition", message) if message else operation(request)

    return check


def _validate(request: Mapping[str, Any]) -> Response:
    found, most = problems(request.get("definition", "")), int(request.get("maxResults") or _MOST)
    return answer(
        {
            "result": "FAIL" if found else "OK",
            "diagnostics": [_diagnostic(problem) for problem in found[:most]],
            "truncated": len(found) > most,
        }
    )


def _diagnostic(problem: Problem) -> dict[str, str]:
    place = {"location": problem.location} if problem.location else {}
    return {"severity": "ERROR", "code": problem.code, "message": problem.message, **place}
