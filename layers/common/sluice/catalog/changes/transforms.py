"""Changes of batches: an input is recorded once, one transform at a time takes it, and each ends once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sluice.catalog import keys
from sluice.catalog.changes.base import CHANGES_MAX, Change, Delete, Put, Update, overwrite
from sluice.catalog.records.transforms import (
    Awaited,
    Batches,
    Input,
    SetAside,
    Transform,
    TransformTask,
)

# A transaction notes the transform, its job and the progress, and two items for each input.
INPUTS_MAX = (CHANGES_MAX - 3) // 2


def add_input(new: Input) -> Sequence[Change]:
    """Record an upload that is to be scored, once, however often it is told."""
    return [Put(new.item()), overwrite(Awaited(new.pipeline, new.key, new.version_id).item())]


def refuse_input(new: Input) -> Sequence[Change]:
    """Record an upload that no transform can read."""
    aside = SetAside(new.pipeline, new.key, new.version_id, new.arrived_at, new.reason)
    return [Put(new.item()), overwrite(aside.item())]


def set_aside(known: Input, aside: SetAside) -> Sequence[Change]:
    """Take an input from what waits, as its content is not what the model reads."""
    key = keys.input_key(known.pipeline, known.key, known.version_id)
    refused = {"status": "refused", "reason": aside.reason}
    return [
        Update(key, refused, {"status": known.status, "request_id": known.request_id}),
        Delete(keys.awaited_key(known.pipeline, known.key, known.version_id)),
        overwrite(aside.item()),
    ]


def ask(known: Input, request_id: str) -> Sequence[Change]:
    """Have an input scored as a person wishes, once for each request, also one that was set aside."""
    key = keys.input_key(known.pipeline, known.key, known.version_id)
    again = {"status": "waiting", "reason": None} if known.status == "refused" else {}
    asked = Update(key, {"request_id": request_id, **again}, {"request_id": known.request_id})
    return [
        asked,
        overwrite(Awaited(known.pipeline, known.key, known.version_id).item()),
        Delete(keys.set_aside_key(known.pipeline, known.key, known.version_id)),
    ]


def try_alone(pipeline: str, key: str, version_id: str) -> Update:
    """Have an input scored again, with no other beside it."""
    return overwrite(Awaited(pipeline, key, version_id, is_alone=True).item())


def drop(awaited: Awaited) -> Delete:
    """Forget an input that the live model has scored already."""
    return Delete(keys.awaited_key(awaited.pipeline, awaited.key, awaited.version_id))


def make_batches(pipeline: str) -> Put:
    """Begin to count a pipeline's transforms."""
    return Put(Batches(pipeline).item())


def take_up(
    before: Batches, transform: Transform, task: TransformTask, inputs: Sequence[Input], model: str
) -> Sequence[Change]:
    """Let a transform take inputs, if none runs: of many who try one does."""
    progress = {
        "seq": before.seq + 1,
        "in_flight": transform.transform_id,
        "started_at": transform.started_at,
    }
    taken = {"status": "taken", "transform_id": transform.transform_id, "model": model, "reason": None}
    pipeline = transform.pipeline
    return [
        Update(keys.batches_key(pipeline), progress, {"seq": before.seq, "in_flight": None}),
        Put(transform.item()),
        Put(task.item()),
        *(Delete(keys.awaited_key(pipeline, each.key, each.version_id)) for each in inputs),
        *(
            Update(keys.input_key(pipeline, each.key, each.version_id), taken, {"status": each.status})
            for each in inputs
        ),
    ]


def end_transform(ended: Transform) -> Sequence[Change]:
    """Record a transform's end, once, and let the next one begin."""
    found = {
        "status": ended.status,
        "ended_at": ended.ended_at,
        "inputs": [dict(each) for each in ended.inputs],
        "rows": ended.rows,
        "faults": list(ended.faults) or None,
        "reason": ended.reason,
        "is_split": ended.is_split or None,
        "usage": dict(ended.usage) if ended.usage else None,
        "cost_usd": ended.cost_usd,
    }
    pipeline, transform_id = ended.pipeline, ended.transform_id
    return [
        Update(keys.transform_key(pipeline, transform_id), found, {"status": "running"}),
        Update(keys.batches_key(pipeline), {"in_flight": None}, {"in_flight": transform_id}),
    ]


def end_input(ended: Transform, each: Mapping[str, Any], status: str, reason: str = "") -> Update:
    """Note what a transform made of an input, unless a later one has taken it."""
    found = {
        "status": status,
        "result_uri": each.get("uri"),
        "rows": each.get("rows"),
        "reason": reason or None,
    }
    key = keys.input_key(ended.pipeline, each["key"], each["version_id"])
    return Update(key, found, {"transform_id": ended.transform_id})


def tell_end(ended: Transform, at: str) -> Update:
    """Note that a transform's end was told."""
    return Update(keys.transform_key(ended.pipeline, ended.transform_id), {"told_at": at}, {})


def await_proof(task: TransformTask) -> Update:
    """Store the token of this attempt to prove a release's model."""
    return overwrite(task.item())
