"""A run's end, whoever brings it about: recorded once; then what goes on of it is ended, then the lock."""

from __future__ import annotations

from collections.abc import Sequence

from sluice.catalog import keys
from sluice.domain import failures
from sluice.observability import logger
from sluice.ports import Cloud, Item, RolesForbiddenError
from sluice.services import batching, building
from sluice.services.timeline import note


def end_run(cloud: Cloud, pipeline: str, run_id: str, status: str, reasons: Sequence[str]) -> Item | None:
    """Record a run's end and clear up after it; the run as it is then, None if there is none."""
    run = record(cloud, pipeline, run_id, status, reasons)
    if run is not None:
        clear_up(cloud, pipeline, run_id, run)
    return run


def record(cloud: Cloud, pipeline: str, run_id: str, status: str, reasons: Sequence[str]) -> Item | None:
    """Write the end down once; the run as it is then, None if there is none."""
    catalog, key = cloud.catalog, keys.run_key(pipeline, run_id)
    ended = {"status": status, "reasons": failures.bounded(reasons), "ended_at": cloud.now()}
    catalog.update(key, ended, when={"status": "running"})
    run = catalog.get(key)
    if run is None:
        return None
    detail = "; ".join(run["reasons"]) or "a model was registered"
    note(cloud, pipeline, run["ended_at"], run_id, f"run {run['status']}", detail)
    return run


def clear_up(cloud: Cloud, pipeline: str, run_id: str, run: Item) -> None:
    """End what goes on of an ended run, and let the next build start.

    Each part can be repeated. While the lock is held, what is left undone is found by it.
    """
    building.stop_jobs(cloud, pipeline, run_id, run)
    if run["status"] == "failed":
        batching.put_back(cloud, pipeline, run_id)
    _unlock(cloud, pipeline, run_id, run)
    _delete_role(cloud, pipeline, run_id)


def _unlock(cloud: Cloud, pipeline: str, run_id: str, run: Item) -> None:
    """Let the next build start. A run that found nothing new was none: it costs no budget, no cooldown."""
    catalog, key = cloud.catalog, keys.pipeline_key(pipeline)
    changes: Item = {"in_flight": None}
    if run["status"] == "skipped" and (item := catalog.get(key)):
        changes |= {"budget_used": item["budget_used"] - 1, "last_build_at": item.get("former_build_at")}
    catalog.update(key, changes, when={"in_flight": run_id})
    cloud.build_requests.send(pipeline)


def _delete_role(cloud: Cloud, pipeline: str, run_id: str) -> None:
    """Whatever the run left behind can do nothing more. What cannot be deleted is no reason to fail."""
    try:
        cloud.roles.delete(building.run_role(cloud, pipeline, run_id))
    except RolesForbiddenError as error:
        logger.warning("the run's role stays", extra={"error": str(error)})
