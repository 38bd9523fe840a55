"""Take back a live release that must not serve: start the rollback that is due, or call a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.changes import releases as changes
from sluice.catalog.records.releases import Deployment, Recovery, Why
from sluice.domain.release import recoveries
from sluice.domain.release.recoveries import GivenUp
from sluice.domain.release.releases import Request
from sluice.lazy import dataclass
from sluice.services import announcing, timeline
from sluice.services.release import releasing

if TYPE_CHECKING:
    from sluice.ports import Cloud

IMPOSSIBLE = "RollbackImpossible"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a live release must not serve on, and what asks for each attempt at its rollback."""

    live: Deployment
    # `alarm`, or `rejection#<epoch>`: each has attempts of its own.
    name: str
    # When the alarm began to fire, or the rejection was decided.
    since: str
    actor: str
    request: Callable[[int], Request]


def recover(cloud: Cloud, fault: Fault) -> str | None:
    """Start the rollback that is due and return its release id; call a person if none will follow."""
    known = _find(cloud, fault)
    last = releasing.find_release(cloud, known.pipeline, known.attempt_id) if known.attempt_id else None
    step = recoveries.next_step(known, last, cloud.now())
    if isinstance(step, GivenUp):
        give_up(cloud, fault, step.why, step.reason, max(step.at, fault.since))
    if step is None or isinstance(step, GivenUp):
        return None
    request = fault.request(step.number)
    if step.number != known.attempt:
        claim = changes.try_recovery(known, step.number, request.release_id, cloud.now())
        if not cloud.catalog.apply(claim):
            return None
    cloud.workflows.start("release", request.release_id, asdict(request))
    return request.release_id


def give_up(cloud: Cloud, fault: Fault, why: Why, reason: str, at: str) -> None:
    """Call a person, once for each time that it happens, and keep why: `sluice status` shows it."""
    live, known = fault.live, _find(cloud, fault)
    known = replace(known, why=why)
    event = "rollback withheld" if why in ("held", "pinned") else "rollback impossible"
    entry = timeline.entry_of(live.pipeline, at, live.release_id, event, reason, fault.actor)
    if timeline.is_noted(cloud, entry):
        return
    # Tell first: what is told twice does less harm than what is never told.
    detail = {
        "stage": live.stage,
        "release_id": live.release_id,
        "package_version": live.package_version,
        "cause": fault.name.partition("#")[0],
        "actor": fault.actor,
        "attempts": known.attempt or 0,
        "why": why,
        "reason": reason,
        "at": at,
        "command": f"sluice {recoveries.command(known)}",
    }
    announcing.announce(cloud, IMPOSSIBLE, live.pipeline, detail)
    cloud.catalog.apply(changes.give_up(known, why, reason, at))
    timeline.add(cloud, entry)


def _find(cloud: Cloud, fault: Fault) -> Recovery:
    live = fault.live
    new = Recovery(live.pipeline, live.stage, live.release_id, fault.name)
    found = cloud.catalog.get(keys.key_of(new.item()))
    if found is None and not cloud.catalog.apply(changes.find_fault(new)):
        return _find(cloud, fault)
    return Recovery.of(found) if found else new
