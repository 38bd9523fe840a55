"""Show what a run costs, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.builds import Run, Step
from sluice.domain import prices
from sluice.ports import Cloud
from sluice.services import building
from sluice.services.build import costs


def run_cost(cloud: Cloud, run_id: str) -> dict[str, Any] | None:
    """Return a run's cost with that of each step; None if there is no such run.

    `usd` is None if a step's cost is unknown; `known_usd` is the sum of the others.
    """
    pipeline = run_id.rpartition("-")[0]
    item = cloud.catalog.get(keys.run_key(pipeline, run_id))
    if item is None:
        return None
    run = Run.of(item)
    steps = building.find_steps(cloud, run_id)
    cost = costs.of_run(cloud, run, _stored_bytes(cloud, pipeline, run_id, steps), steps)
    return {
        "run_id": run_id,
        "pipeline": pipeline,
        "status": run.status,
        "steps": [{**asdict(step), "used": step.used} for step in cost.steps],
        "transitions": {"count": cost.transitions, "usd": cost.transitions_usd},
        "functions_and_catalog": {"usd": cost.overhead_usd, "is_estimated": True},
        "storage": {"bytes": cost.storage_bytes, "usd_a_month": cost.storage_usd_month},
        "usd": cost.usd,
        "known_usd": cost.known_usd,
        "unknown": list(cost.unknown),
        "prices": {"region": prices.REGION, "as_of": prices.AS_OF, "sources": list(prices.SOURCES)},
        "next_run": {**costs.outlook(cloud, pipeline), "packages": costs.packages(cloud, pipeline)},
    }


def _stored_bytes(cloud: Cloud, pipeline: str, run_id: str, steps: Sequence[Step]) -> int:
    """Return the size of what the run's jobs wrote, as far as it is still there.

    That is in the run's folder, and of a pipeline of SageMaker where the SDK has its jobs write by default.
    """
    root, by_default = f"s3://{cloud.artifact_bucket}/", f"{building.locations(cloud, pipeline).sdk}/"
    # An older stack recorded None of a model that was not written.
    uris = {uri for step in steps for uri in (step.outputs or {}).values() if uri}
    written = {uri for uri in uris if uri.startswith(by_default)}
    folders = [f"runs/{pipeline}/{run_id}/", *(uri.removeprefix(root).rstrip("/") for uri in written)]
    sizes = {
        head.key: head.size_bytes
        for folder in folders
        for head in cloud.objects.listing(cloud.artifact_bucket, folder)
        if head.key == folder or head.key.startswith(f"{folder.rstrip('/')}/")
    }
    return sum(sizes.values())
