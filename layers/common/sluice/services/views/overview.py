"""Show many pipelines at a glance: what serves, what waits for a person, what happened last."""

from __future__ import annotations

from typing import Any

from sluice.domain.money import month_of
from sluice.domain.times import from_iso
from sluice.ports import Cloud, Item
from sluice.services.arrivals import on_each
from sluice.services.views import pipelines, runs, stages, uploads

PAGE = 12


def overview(cloud: Cloud, after: str | None = None, wanted: str = "", limit: int = PAGE) -> dict[str, Any]:
    """Return a page of pipelines by name, those behind `after` whose names contain `wanted`.

    `after` of the answer is where to go on; None at the end.
    """
    found = [item for item in pipelines.pipelines(cloud) if wanted.lower() in item["gsi1sk"]]
    listed = [item for item in found if after is None or item["gsi1sk"] > after]
    firing = [str(alarm["AlarmName"]) for alarm in cloud.alarms.firing(f"{cloud.stack_name}--")]
    return {
        "pipelines": on_each(listed[:limit], lambda item: _card(cloud, item, firing)),
        "after": listed[limit - 1]["gsi1sk"] if len(listed) > limit else None,
        "total": len(found),
        "wanted": wanted,
    }


def _card(cloud: Cloud, item: Item, firing: list[str]) -> dict[str, Any]:
    name = item["gsi1sk"]
    serving = stages.stages(cloud, name)
    month = month_of(from_iso(cloud.now()))
    return {
        "pipeline": name,
        "in_flight": item.get("in_flight"),
        "last_build_at": item.get("last_build_at"),
        "month_usd": float(item.get("spent_usd") or 0) if item.get("spent_month") == month else 0.0,
        "stages": serving,
        "releasing": [stage["stage"] for stage in serving if stage["releasing"]],
        "awaited": pipelines.awaited_decisions(cloud, name),
        "quarantined": uploads.some_set_aside(cloud, name),
        "last_run": next(iter(runs.runs(cloud, name, limit=1)), None),
        "firing": [alarm for alarm in firing if f"--{name}--" in alarm],
    }
