"""Shorten the reasons of a run or a release to one line, and say what goes on from there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluice.domain import failures, wording
from sluice.domain.build.errors import DatasetChangedError
from sluice.domain.build.evaluations import EvaluationError
from sluice.domain.build.selection import NOT_FINITE, UNREPORTED
from sluice.domain.failures import brief

# `sluice run` has all of it.
_SHOWN = 300
# How SageMaker's reason begins if a container ended with an error of its own.
_OF_SCRIPT = "AlgorithmError: "
# In reasons that say what to change: time, memory, the backend, a metric or an evaluation that is not there.
_OF_PROJECT = (
    *(failures.RAN_LONGER, failures.OUT_OF_MEMORY, failures.OF_LAMBDA, failures.NOT_ON_LAMBDA),
    *(UNREPORTED, NOT_FINITE, f"{EvaluationError.__name__}: "),
)


def remarks(version: Mapping[str, Any]) -> list[str]:
    """Say what a person should know of a version that waits, before approving it: each follows "it was"."""
    recalled = version.get("recalled")
    found = (version.get("overtaken"), wording.recalled(recalled) if recalled else None)
    return [each for each in found if each]


def first_reasons(item: dict[str, Any], count: int = 1) -> str:
    """Return the first reasons of a run or release in one line."""
    reasons = item.get("reasons") or []
    more = f" (+{len(reasons) - count})" if len(reasons) > count else ""
    return "; ".join(wording.shorten(brief(str(reason)), _SHOWN) for reason in reasons[:count]) + more


def way_on(run: Mapping[str, Any], pipeline: str) -> tuple[str, str] | None:
    """Return the command that goes on from a failed or stopped run, and what it does; None if none would.

    A retry has the run's own data and scripts, so one that was refused as the data have changed would be
    refused again, and a script that failed, or a limit that it reached, most likely ends the same way:
    another push builds these data too.
    """
    if run["status"] not in ("failed", "stopped"):
        return None
    reasons = [str(reason) for reason in run.get("reasons") or ()]
    if any(reason.startswith(DatasetChangedError.__name__) for reason in reasons):
        return None if run.get("reproduces") else (f"start {pipeline}", "builds on the data as they are now")
    if any(_OF_SCRIPT in reason for reason in reasons) and not run.get("reproduces"):
        return "push DIR", "builds with the script as you mend it; a retry would run this one again"
    if any(words in reason for reason in reasons for words in _OF_PROJECT) and not run.get("reproduces"):
        return "push DIR", "builds with the project as you change it; a retry would end the same way"
    return f"retry {run['run_id']}", "goes on from where it was"
