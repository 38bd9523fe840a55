"""Show how the gates of runs were judged."""

from __future__ import annotations

import json
from typing import Any

from sluice.catalog import keys
from sluice.domain import names
from sluice.domain.build import gate_report
from sluice.ports import Cloud
from sluice.services import building


def document(cloud: Cloud, pipeline: str, run_id: str) -> dict[str, Any] | None:
    """Return a run's gates.json, or of an earlier version what its step has; None if none was judged."""
    try:
        found: dict[str, Any] = json.loads(
            cloud.objects.read(building.locations(cloud, pipeline).gates(run_id))
        )
    except FileNotFoundError:
        return _of_step(cloud, pipeline, run_id)
    return found


def _of_step(cloud: Cloud, pipeline: str, run_id: str) -> dict[str, Any] | None:
    step = building.find_step(cloud, run_id, names.GATES)
    run = cloud.catalog.get(keys.run_key(pipeline, run_id))
    if step is None or run is None or step.status != building.COMPLETED:
        return None
    gates = [dict(each) for each in step.detail or ()]
    return {
        "format": gate_report.FORMAT,
        "pipeline": pipeline,
        "run_id": run_id,
        "project_version": run.get("project_version"),
        "judged_at": step.ended_at or "",
        "passed": all(each["passed"] for each in gates),
        "evaluation_sha256": step.evaluation_sha256,
        "champion": None,
        "models": [],
        "gates": gates,
    }
