"""Show many pipelines at a glance: what serves, what waits for a person, what happened last.

However many pipelines a page has, it costs three queries and two batches: stages are listed together, and
what else a card needs has a known key. A pipeline of an older stack (not `is_glanceable`) costs its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.builds import Pipeline
from sluice.catalog.records.releases import Deployment, Stage
from sluice.domain.money import month_of
from sluice.domain.times import from_iso
from sluice.ports import Cloud
from sluice.services import releasing
from sluice.services.arrivals import on_each
from sluice.services.views import notices, pipelines, runs, stages, uploads

PAGE = 12
_TOLD = 5
Stages = Mapping[str, Sequence[Stage]]


def overview(cloud: Cloud, after: str | None = None, wanted: str = "", limit: int = PAGE) -> dict[str, Any]:
    """Return a page of pipelines by name, those behind `after` whose names contain `wanted`.

    `after` of the answer is where to go on; None at the end.
    """
    found = [item for item in pipelines.pipelines(cloud) if wanted.lower() in item["gsi1sk"]]
    listed = [item for item in found if after is None or item["gsi1sk"] > after]
    shown = [Pipeline.of(item) for item in listed[:limit]]
    staged = _stages(cloud, shown)
    read_ahead(cloud, shown, staged)
    firing = [str(alarm["AlarmName"]) for alarm in cloud.alarms.firing(f"{cloud.stack_name}--")]
    return {
        "pipelines": on_each(shown, lambda each: _card(cloud, each, staged[each.name], firing)),
        "after": listed[limit - 1]["gsi1sk"] if len(listed) > limit else None,
        "total": len(found),
        "wanted": wanted,
        "told": notices.notices(cloud, _TOLD),
    }


def _stages(cloud: Cloud, shown: Sequence[Pipeline]) -> Stages:
    listed: dict[str, list[Stage]] = defaultdict(list)
    if any(each.is_glanceable for each in shown):
        for item in cloud.catalog.listing(keys.ALL_STAGES):
            listed[keys.pipeline_of(item)].append(Stage.of(item))
    return {
        each.name: listed[each.name] if each.is_glanceable else releasing.find_stages(cloud, each.name)
        for each in shown
    }


def read_ahead(cloud: Cloud, shown: Sequence[Pipeline], staged: Stages) -> None:
    """Let the catalog of a page have, by two requests, the items that views ask for one by one."""
    live = [stage for each in shown for stage in staged[each.name] if stage.live]
    wanted = [key for each in shown for key in _known_keys(each)]
    for stage in live:
        wanted.append(keys.deployment_key(stage.pipeline, stage.name, str(stage.live)))
        wanted.append(keys.release_key(stage.pipeline, str(stage.live)))
    found = [item for item in cloud.catalog.get_all(wanted) if item]
    deployed = [Deployment.of(item) for item in found if item["sk"].startswith(keys.DEPLOYMENTS)]
    arns = {each.package_arn for each in deployed}
    arns |= {str(item["model_package_arn"]) for item in found if item.get("model_package_arn")}
    cloud.catalog.get_all([keys.package_key(arn) for arn in sorted(arns)])


def _known_keys(pipeline: Pipeline) -> list[keys.Key]:
    name = pipeline.name
    projects = [keys.project_key(name, pipeline.project_version)] if pipeline.project_version else []
    newest = [keys.run_key(name, run_id) for run_id in runs.newest_ids(pipeline, 1)]
    return [keys.pipeline_key(name), keys.aside_key(name), *projects, *newest]


def _card(cloud: Cloud, pipeline: Pipeline, staged: Sequence[Stage], firing: list[str]) -> dict[str, Any]:
    name = pipeline.name
    serving = stages.of_stages(cloud, staged)
    return {
        "pipeline": name,
        "in_flight": pipeline.in_flight,
        "last_build_at": pipeline.last_build_at,
        "month_usd": pipeline.spent_in(month_of(from_iso(cloud.now()))),
        "stages": serving,
        "releasing": [stage["stage"] for stage in serving if stage["releasing"]],
        "awaited": pipelines.awaited_decisions(cloud, name, serving),
        "quarantined": uploads.some_set_aside(cloud, pipeline),
        "last_run": next(iter(runs.newest(cloud, pipeline, 1)), None),
        "firing": [alarm for alarm in firing if f"--{name}--" in alarm],
    }
