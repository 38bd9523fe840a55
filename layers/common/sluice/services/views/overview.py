"""Show many pipelines at a glance: what serves, what waits for a person, what happened last.

However many pipelines a page has, it costs three queries and as many batches, and asks no registry: stages
are listed together, what else a card needs has a known key, and what waits for a person is by the catalog's
record of decisions. A pipeline of an older stack (not `is_glanceable`, or without `newest_package`) costs its
own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.builds import Pipeline
from sluice.catalog.records.releases import Stage
from sluice.domain.money import month_of
from sluice.domain.times import from_iso
from sluice.ports import Cloud
from sluice.services.release import releasing
from sluice.services.side_by_side import on_each
from sluice.services.views import ahead, awaited, models, notices, pipelines, runs, stages, uploads

PAGE = 12
_TOLD = 5


def overview(cloud: Cloud, after: str | None = None, wanted: str = "", limit: int = PAGE) -> dict[str, Any]:
    """Return a page of pipelines by name, those behind `after` whose names contain `wanted`.

    `after` of the answer is where to go on; None at the end.
    """
    found = [item for item in pipelines.pipelines(cloud) if wanted.lower() in item["gsi1sk"]]
    listed = [item for item in found if after is None or item["gsi1sk"] > after]
    shown = [Pipeline.of(item) for item in listed[:limit]]
    staged = _stages(cloud, shown)
    ahead.read(cloud, shown, staged)
    _read_set_aside(cloud, shown)
    firing = [str(alarm["AlarmName"]) for alarm in cloud.alarms.firing(f"{cloud.stack_name}--")]
    return {
        "pipelines": on_each(shown, lambda each: _card(cloud, each, staged[each.name], firing)),
        "after": listed[limit - 1]["gsi1sk"] if len(listed) > limit else None,
        "total": len(found),
        "wanted": wanted,
        "told": notices.notices(cloud, _TOLD),
    }


def _stages(cloud: Cloud, shown: Sequence[Pipeline]) -> ahead.Stages:
    listed: dict[str, list[Stage]] = defaultdict(list)
    if any(each.is_glanceable for each in shown):
        for item in cloud.catalog.listing(keys.ALL_STAGES):
            listed[keys.pipeline_of(item)].append(Stage.of(item))
    return {
        each.name: listed[each.name] if each.is_glanceable else releasing.find_stages(cloud, each.name)
        for each in shown
    }


def _read_set_aside(cloud: Cloud, shown: Sequence[Pipeline]) -> None:
    """Read by one batch what the pipelines' notes name of what was set aside."""
    noted = {each.name: cloud.catalog.get(keys.aside_key(each.name)) or {} for each in shown}
    named = [key for name, note in noted.items() for key in uploads.aside_keys(name, note) or ()]
    cloud.catalog.get_all(named)


def _card(cloud: Cloud, pipeline: Pipeline, staged: Sequence[Stage], firing: list[str]) -> dict[str, Any]:
    name = pipeline.name
    serving = stages.of_stages(cloud, staged)
    undecided = models.on_record(cloud, pipeline, serving)
    aside = uploads.some_set_aside(cloud, pipeline)
    return {
        "pipeline": name,
        "in_flight": pipeline.in_flight,
        "last_build_at": pipeline.last_build_at,
        "month_usd": pipeline.spent_in(month_of(from_iso(cloud.now()))),
        "stages": serving,
        "releasing": [stage["stage"] for stage in serving if stage["releasing"]],
        "awaited": awaited.decisions(cloud, name, serving, undecided),
        "quarantined": len(aside),
        "more_quarantined": bool(aside) and uploads.has_more_aside(cloud, name),
        "last_run": next(iter(runs.newest(cloud, pipeline, 1)), None),
        "firing": [alarm for alarm in firing if f"--{name}--" in alarm],
    }
