"""Changes of arrivals: the state of an arrival decides where its item is, so a change of state moves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sluice.catalog import keys
from sluice.catalog.changes.base import CHANGES_MAX, Change, Delete, Put, Update
from sluice.catalog.records.arrivals import Arrival, ArrivalStatus, Touched, UnclaimedArrival

# A settled arrival is two changes, and each transaction counts.
SETTLED_MAX = (CHANGES_MAX - 1) // 2
# A pipeline's note of what was set aside names so many objects.
_NAMED = 5


def add_arrival(arrival: Arrival) -> Put:
    """Record an arrival; the first event of an object version adds it."""
    return Put(arrival.item())


def take_up(arrival: Arrival, version: str, batch: str, run_id: str) -> tuple[Update, ...]:
    """Let a run take up an arrival, with the name of its batch, for a data set version."""
    taken = {"status": "included", "dataset_version": version, "batch": batch, "taken_up_by": run_id}
    return Update(arrival.place, {**taken, "failed_run": None}), *_loosened(arrival)


def _loosened(arrival: Arrival) -> tuple[Update, ...]:
    """Note that a run that failed took it up: if its data were valid, they hold the object."""
    if arrival.failed_run is None:
        return ()
    return (Update(keys.loose_key(arrival.pipeline, arrival.key), {"key": arrival.key}),)


def take_up_again(arrival: Arrival, version: str, run_id: str) -> tuple[Update, ...]:
    """Take up what a failed run put back, if it is still so, for a run that builds on the same version."""
    taken = {"status": "included", "dataset_version": version, "taken_up_by": run_id, "failed_run": None}
    when = {"status": arrival.status, "failed_run": arrival.failed_run}
    return Update(arrival.place, taken, when), *_loosened(arrival)


def put_back_failed(arrival: Arrival, run_id: str) -> Update:
    """Let what a failed run took up wait again; marked with the run, it cannot cause the next build."""
    changes = {"status": arrival.untaken_status, "dataset_version": None, "taken_up_by": None}
    return _if_still_taken(arrival, {**changes, "failed_run": run_id})


def put_back(arrival: Arrival) -> Update:
    """Let an arrival wait again that a rejected version took up; a control object still names the version."""
    changes: dict[str, str | None] = {"status": arrival.untaken_status}
    if not arrival.is_control:
        changes["dataset_version"] = None
    return _if_still_taken(arrival, changes)


def _if_still_taken(arrival: Arrival, changes: dict[str, str | None]) -> Update:
    when = {"status": "included", "dataset_version": arrival.dataset_version}
    return Update(arrival.place, changes, when)


def move(arrival: Arrival, moved: Arrival) -> tuple[Delete, Put]:
    """Move an arrival, changed or not, to another state, if its item is unchanged since it was read."""
    read = {name: getattr(arrival, name) for name in ("status", "dataset_version", "release_request")}
    return Delete(arrival.place, when=read), Put(moved.item())


def quarantine(arrival: Arrival, reason: str, at: str, set_aside_at: str | None = None) -> tuple[Change, ...]:
    """Quarantine an arrival, and note its key: it may have overwritten an object of a data set."""
    status: ArrivalStatus = "quarantined"
    held = set_aside_at or arrival.set_aside_at
    moved = replace(arrival, state=keys.QUARANTINED, status=status, reason=reason, set_aside_at=held)
    return *move(arrival, moved), touch(arrival.pipeline, arrival.key, at), *_loosened(arrival)


def note_aside(arrival: Arrival, noted: Mapping[str, Any] | None) -> Put | Update:
    """Note that an arrival is about to be set aside, if the note is as it was read (None: there was none).

    It is a write of its own: the transactions of many objects set aside at a time would collide in it. It
    names the newest; `has_more` says that there may be others.
    """
    key = keys.aside_key(arrival.pipeline)
    own = replace(arrival, state=keys.QUARANTINED).place["sk"]
    if noted is None:
        return Put({**key, "newest": [own]})
    former = noted.get("newest")
    newest = [own, *(sk for sk in former or () if sk != own)]
    has_more = noted.get("has_more") or former is None or len(newest) > _NAMED or None
    return Update(key, {"newest": newest[:_NAMED], "has_more": has_more}, {"newest": former})


def note_more_aside(pipeline: str) -> Update:
    """Note that more was set aside than the note names, as others wrote it at the same time."""
    return Update(keys.aside_key(pipeline), {"has_more": True})


def release(arrival: Arrival, request_id: str) -> tuple[Delete, Put]:
    """Let a quarantined arrival wait again, as a person asked."""
    status: ArrivalStatus = "pending"
    asked = replace(arrival, release_request=request_id, release_refused=None)
    return move(arrival, replace(asked, state=keys.WAITING, status=status, reason=""))


def refuse_release(arrival: Arrival, request_id: str, why: str) -> Update:
    """Note on an arrival why it is not released, if its status is still the same."""
    answer = {"release_request": request_id, "release_refused": why}
    return Update(arrival.place, answer, {"status": arrival.status})


def settle(pipeline: str, arrivals: Sequence[Arrival], included: int | None) -> list[Change]:
    """Settle some arrivals and count them; `included` is the count before, None if there is none.

    A retry counts nothing twice, as one transaction moves and counts.
    """
    key, more = keys.counts_key(pipeline), sum(arrival.is_included for arrival in arrivals)
    count: Change = Put({**key, "included": more})
    if included is not None:
        count = Update(key, {"included": included + more}, when={"included": included})
    moves = (each for arrival in arrivals for each in move(arrival, replace(arrival, state=keys.SETTLED)))
    return [count, *moves]


def mark_gone(arrival: Arrival, is_gone: bool) -> Update:
    """Note whether the bucket still has an object under a settled arrival's key."""
    return Update(arrival.place, {"gone": True if is_gone else None}, {"status": arrival.status})


def touch(pipeline: str, key: str, at: str, *, is_deleted: bool = False) -> Update:
    """Note that a key's object may differ from the last valid data set's, or that data were deleted there."""
    noted = {"key": key, "touched_at": at, "deleted": True if is_deleted else None}
    return Update(keys.touched_key(pipeline, key), noted)


def mark_deletions(pipeline: str, has_deletions: bool) -> Update:
    """Note with a pipeline whether notes tell of deleted data, so that nobody looks where there are none."""
    return Update(keys.pipeline_key(pipeline), {"has_deletions": True if has_deletions else None})


def forget_touched(noted: Touched) -> Delete:
    """Forget a noted key, unless something happened to it since."""
    return Delete(keys.touched_key(noted.pipeline, noted.key), {"touched_at": noted.touched_at})


def add_unclaimed(arrival: UnclaimedArrival) -> Put:
    return Put(arrival.item())


def claim(arrival: UnclaimedArrival) -> Update:
    """Note that an object was announced again, to the pipeline that it belongs to by now."""
    return Update(keys.unclaimed_key(arrival.key, arrival.version_id), {"status": "claimed"})
