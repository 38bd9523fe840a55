"""Wait for what an event started, and tell how far it is."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from sluice.catalog import keys
from sluice.catalog.records.builds import Run, Step
from sluice.domain import failures
from sluice.domain.build import usage
from sluice.services import building
from sluice.services.data import arrivals
from sluice.services.views import data, runs, stages
from sluice_cli import lookup
from sluice_cli.errors import CommandError
from sluice_cli.output import hint
from sluice_cli.target import Target

POLL_S = 0.2
# After a look there is a rest of so many times its length: who is slow to answer is busy.
_RESTS = 4
_LONGEST_REST_S = 1.0
# Runs start one after another, so there are never so many new ones at once.
_NEWEST = 5
# To find out why nothing starts costs more than to see that nothing has.
_LOOKS_BETWEEN_REASONS = 10
# So many uploaded objects are asked about, to know the run that takes them up.
_SOME = 20
RUNNING = "running"
_LATER = "`sluice status` shows what happened; nothing is lost: reconcile finishes what hangs."
# A person's request has no trace until it is heard, so that one got lost is known to nobody else.
ASK_AGAIN = "Run it again: a request that got lost did nothing, and to ask twice does no harm."
Say = Callable[[str], None]
Found = TypeVar("Found")


def until(
    look: Callable[[], Found | None],
    *,
    timeout_s: float,
    what: str,
    poll_s: float = POLL_S,
    otherwise: str = _LATER,
) -> Found:
    """Poll until something is found, the less often the longer a look takes.

    Raises CommandError after the timeout, with what to do otherwise.
    """
    try:
        return _until(look, timeout_s, what, poll_s, otherwise)
    except KeyboardInterrupt:
        hint(f"you wait no longer for {what}, and nothing is undone: `sluice status` shows how it goes on")
        raise


def _until(
    look: Callable[[], Found | None], timeout_s: float, what: str, poll_s: float, otherwise: str
) -> Found:
    deadline = time.monotonic() + timeout_s
    while True:
        began = time.monotonic()
        if (found := look()) is not None:
            return found
        took_s = time.monotonic() - began
        if time.monotonic() > deadline:
            raise CommandError(f"waited {timeout_s:.0f} s for {what} in vain", hint=otherwise)
        time.sleep(max(poll_s, min(_RESTS * took_s, _LONGEST_REST_S)))


def run_ids(target: Target, pipeline: str) -> set[str]:
    """Return the ids of the newest runs that exist now, to recognize a new one later."""
    return {run["run_id"] for run in runs.runs(target.cloud, pipeline, limit=_NEWEST)}


def new_run(
    target: Target,
    pipeline: str,
    known: Collection[str],
    say: Say = lambda _: None,
    *,
    is_it: Callable[[Mapping[str, Any]], bool] = lambda run: True,
    timeout_s: float = 120,
) -> str:
    """Wait for a run that is not yet known, telling why it does not start; returns its id.

    `is_it` tells the awaited run from others that may start meanwhile.
    """
    looks, said = itertools.count(1), ""

    def look() -> str | None:
        nonlocal said
        newest = runs.runs(target.cloud, pipeline, limit=_NEWEST)
        fresh = (run for run in reversed(newest) if run["run_id"] not in known)
        if found := next(filter(is_it, fresh), None):
            return str(found["run_id"])
        if next(looks) % _LOOKS_BETWEEN_REASONS == 0 and (why := data.why_waiting(target.cloud, pipeline)):
            if why != said:
                say(why)
            said = why
        return None

    return until(look, timeout_s=timeout_s, what=f"a run of {pipeline} to start")


def may_read(
    target: Target, pipeline: str, uploaded: Sequence[Mapping[str, Any]]
) -> Callable[[Mapping[str, Any]], bool]:
    """Return what tells whether a run may read what was uploaded: it took some up, or began after it came.

    A run that somebody started just before reads nothing of it.
    """

    def may(run: Mapping[str, Any]) -> bool:
        prefix = f"s3://{target.cloud.data_bucket}/"
        came = (
            arrivals.find(target.cloud, pipeline, each["uri"].removeprefix(prefix), each["version_id"])
            for each in uploaded[:_SOME]
        )
        return any(
            run["run_id"] == each.taken_up_by or (each.recorded_at or each.heard_at) <= run["started_at"]
            for each in came
            if each is not None
        )

    return may


def run_end(
    target: Target, pipeline: str, run_id: str, say: Say, *, timeout_s: float = 3600
) -> dict[str, Any]:
    """Follow a run to its end, naming each step it reaches; returns the run with its steps."""
    said = ""

    def look() -> bool | None:
        nonlocal said
        run = building.find_run(target.cloud, pipeline, run_id)
        steps = building.find_steps(target.cloud, run_id)
        now = target.cloud.now()
        doing = ", ".join(sorted(_doing(step, now) for step in steps if not step.ended_at))
        doing = doing or (_before_steps(run, now) if run and not steps else "")
        if doing and doing != said:
            said = doing
            say(doing)
        return True if run and run.has_ended else None

    until(look, timeout_s=timeout_s, what=f"run {run_id} to end")
    return lookup.the_run(target, run_id)


def _doing(step: Step, now: str) -> str:
    """Name a step under way and what it waits for, or how long it has run."""
    if step.waits_for:
        return f"{step.step} waits: {failures.plain(step.waits_for)}"
    return f"{step.step}{_for_so_long(step.started_at, now)}"


def _before_steps(run: Run, now: str) -> str:
    """Name what a run does before its first step."""
    if run.dataset_version is None:
        return "data"
    if run.validated_at is None:
        return f"validate{_for_so_long(run.started_at, now)}"
    return f"packages{_for_so_long(run.packaged_at, now)}" if run.packaged_at else ""


def _for_so_long(since: str | None, now: str) -> str:
    so_far_s = usage.seconds(since, now)
    return "" if so_far_s is None or so_far_s < 1 else f" {so_far_s:.0f} s"


def release_ids(target: Target, pipeline: str) -> set[str]:
    return {release["release_id"] for release in stages.releases(target.cloud, pipeline)}


def release_end(
    target: Target,
    pipeline: str,
    known: Collection[str],
    say: Say,
    *,
    timeout_s: float = 3600,
    what: str = "the release",
) -> dict[str, Any]:
    """Wait for a release that is not yet known to start and end."""
    said = ""

    def look() -> dict[str, Any] | None:
        nonlocal said
        fresh = [
            release
            for release in stages.releases(target.cloud, pipeline)
            if release["release_id"] not in known
        ]
        if not fresh:
            return None
        newest = max(fresh, key=lambda release: str(release.get("started_at")))
        if newest["release_id"] != said:
            said = newest["release_id"]
            say(said)
        return newest if newest.get("status", RUNNING) != RUNNING else None

    return until(look, timeout_s=timeout_s, what=what)


def this_release_end(
    target: Target, pipeline: str, release_id: str, *, timeout_s: float = 3600
) -> dict[str, Any]:
    """Wait for the end of one release."""

    def look() -> dict[str, Any] | None:
        item = target.catalog.get(keys.release_key(pipeline, release_id))
        if item is None or item.get("status", RUNNING) == RUNNING:
            return None
        return {"release_id": release_id, **keys.shown(item)}

    return until(look, timeout_s=timeout_s, what=f"{release_id} to end")
