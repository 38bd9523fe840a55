"""`sluice stop`: end a run and its jobs, and say what they took."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from sluice.catalog.records.builds import Run
from sluice.domain.build import jobs
from sluice.services import building
from sluice.services.build import stopping
from sluice.services.build.stopping import NotStoppedError
from sluice.services.views import costs
from sluice_cli import lookup, waiting
from sluice_cli.errors import EXIT_USAGE, CommandError
from sluice_cli.target import Target

_END_S = 300
_JOBS_S = 120


def stop(target: Target, run_id: str, reason: str) -> dict[str, Any]:
    """Stop a run and wait for its end; returns the run with its steps."""
    pipeline = ask(target, run_id, reason).pipeline
    waiting.run_end(target, pipeline, run_id, lambda _: None, timeout_s=_END_S)
    with suppress(CommandError):
        # What a job took is known at its end; one that takes longer is told of as unknown.
        waiting.until(lambda: _have_jobs_ended(target, run_id), timeout_s=_JOBS_S, what="its jobs to stop")
    ended = lookup.the_run(target, run_id)
    cost = costs.run_cost(target.cloud, run_id) or {}
    return {**ended, "cost": {name: cost.get(name) for name in ("usd", "known_usd", "unknown")}}


def ask(target: Target, run_id: str, reason: str) -> Run:
    """Have a run stopped as whoever calls; returns the run as it was."""
    run = lookup.named_run(target, run_id)
    actor = target.call("sts", "get_caller_identity")["Arn"]
    try:
        stopping.stop(target.cloud, run, actor, reason)
    except NotStoppedError as error:
        raise CommandError(
            str(error), hint=f"`sluice run {run_id}` shows it.", exit_code=EXIT_USAGE
        ) from None
    return run


def _have_jobs_ended(target: Target, run_id: str) -> bool | None:
    steps = building.find_steps(target.cloud, run_id)
    return None if any(step.job and not jobs.has_ended(step.status) for step in steps) else True
