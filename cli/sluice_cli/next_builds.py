"""Tell what starts by itself after a push, an upload or a release of data, and what it waits for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sluice.catalog.records.builds import Pipeline
from sluice.domain.times import from_iso, to_iso
from sluice.services import building
from sluice.services.build import budgets
from sluice.services.views import data
from sluice_cli import uploads
from sluice_cli.target import Target


def after_push(target: Target, pipeline: str) -> dict[str, Any]:
    """Tell whether the project is being built or will be without an upload, and why."""
    # Decide first: a build that starts meanwhile is seen in what is read then.
    waits = data.what_waits(target.cloud, pipeline)
    state = building.find_pipeline(target.cloud, pipeline) or Pipeline(pipeline, "")
    if state.in_flight and state.built_project_version == state.project_version:
        return {"starts": True, "why": f"{state.in_flight} builds it"}
    if build := waits["next_build"]:
        when = f" at {build['at']}" if build["at"] > to_iso(datetime.now(UTC)) else ""
        return {"starts": True, "why": f"a build starts by itself{when} ({build['reason']})"}
    if state.in_flight and state.is_project_new:
        return {"starts": True, "why": f"a build starts when {state.in_flight} ends"}
    if state.is_project_new:
        return {"starts": False, "why": "no build starts, as there are no data yet"}
    return {"starts": False, "why": "no build starts, as nothing that a run reads has changed"}


def after_upload(target: Target, pipeline: str, uploaded: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Tell whether an upload that was not set aside starts a run by itself, and if not, why."""
    if held := held_by_budget(target, pipeline):
        return {"starts": False, "why": held}
    control = uploads.completing_name(target, pipeline)
    if control and not any(each["uri"].rpartition("/")[2] == control for each in uploaded):
        return {"starts": False, "why": f"a run starts once {control} completes the batch"}
    return {"starts": True, "why": None}


def held_by_budget(target: Target, pipeline: str) -> str | None:
    """Say until when data start no run, as their budget is used up; None if they do."""
    state = building.find_pipeline(target.cloud, pipeline)
    if state is None or not state.project_version:
        return None
    held = budgets.held_until(target.cloud, state, from_iso(target.cloud.now()))
    return f"no run starts before {to_iso(held.time)}: {held.reason}" if held else None
