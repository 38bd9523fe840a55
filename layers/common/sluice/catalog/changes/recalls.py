"""Changes of recalls: take a content out of all later data sets, and let it in again."""

from __future__ import annotations

from dataclasses import replace

from sluice.catalog import keys
from sluice.catalog.changes.arrivals import quarantine
from sluice.catalog.changes.base import Change, Delete, Put, Update
from sluice.catalog.records.arrivals import Arrival
from sluice.catalog.records.base import with_absent
from sluice.catalog.records.builds import Pipeline, Run
from sluice.catalog.records.recalls import Recall


def recall(recalled: Recall) -> Update:
    """Recall a content, anew if it was recalled before."""
    return Update(
        keys.recall_key(recalled.pipeline, recalled.sha256), with_absent(recalled, "pipeline", "sha256")
    )


def set_aside(arrival: Arrival, reason: str, at: str, included: int | None) -> tuple[Change, ...]:
    """Quarantine an arrival in whatever state; `included` is the count of settled ones."""
    moved = quarantine(arrival, reason, at)
    if arrival.state != keys.SETTLED or not arrival.is_included or included is None:
        return moved
    counted = Update(keys.counts_key(arrival.pipeline), {"included": included - 1}, {"included": included})
    return *moved, counted


def ask_rebuild(pipeline: str, key: str, actor: str) -> Update:
    """Let the next build be that of a recall, as soon as no other runs; it awaits no other request."""
    asked = {"recalled_key": key, "recalled_by": actor, "build_requested_for": None}
    return Update(keys.pipeline_key(pipeline), asked, {})


def finish(recalled: Recall, at: str) -> Update:
    """Note that a recall did all it does at once: who asked for it waits for this."""
    when = {"request_id": recalled.request_id}
    return Update(keys.recall_key(recalled.pipeline, recalled.sha256), {"done_at": at}, when)


def claim_build(pipeline: Pipeline, run: Run) -> tuple[Change, ...]:
    """Take the build lock for a recall's build, which costs no budget, if it is still the same recall."""
    claim = {
        "in_flight": run.run_id,
        "build_cause": run.cause,
        "build_seq": pipeline.build_seq + 1,
        "built_project_version": pipeline.project_version,
        "built_content": pipeline.project_content,
        "last_build_at": run.started_at,
        "former_build_at": pipeline.last_build_at,
        "recalled_key": None,
        "recalled_by": None,
        "build_requested_for": None,
    }
    free = {"in_flight": None, "build_seq": pipeline.build_seq, "recalled_key": pipeline.recalled_key}
    return Update(keys.pipeline_key(pipeline.name), claim, free), Put(run.item())


def rebuild(recalled: Recall, run_id: str, package_arn: str) -> Update:
    """Note the model that was registered without a recalled content; the first one counts."""
    done = replace(recalled, status="rebuilt", run_id=run_id, package_arn=package_arn)
    changes = {name: getattr(done, name) for name in ("status", "run_id", "package_arn")}
    return Update(
        keys.recall_key(recalled.pipeline, recalled.sha256),
        changes,
        {"status": "open", "request_id": recalled.request_id},
    )


def lift(recalled: Recall) -> Delete:
    """Let a content in again."""
    return Delete(keys.recall_key(recalled.pipeline, recalled.sha256))
