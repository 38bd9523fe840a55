"""Stop a run that a person no longer wants: its execution ends, and `finish_run` stops its jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice.domain.actors import unverified

if TYPE_CHECKING:
    from sluice.catalog.records.builds import Run
    from sluice.ports import Cloud

# The error of an execution that a person stopped.
STOPPED = "StoppedByHand"


class NotStoppedError(Exception):
    """A run cannot be stopped: it has ended, or has no execution yet."""


def stop(cloud: Cloud, run: Run, actor: str, reason: str) -> None:
    """Stop the run's execution; the end of the run says who did it and why. Raises NotStoppedError."""
    if run.has_ended:
        raise NotStoppedError(f"{run.run_id} has ended as {run.status}")
    if run.execution_arn is None:
        raise NotStoppedError(f"{run.run_id} has no execution yet: try again in a moment")
    why = f": {reason}" if reason else ""
    cloud.workflows.stop(run.execution_arn, STOPPED, f"stopped by {unverified(actor)}{why}")
