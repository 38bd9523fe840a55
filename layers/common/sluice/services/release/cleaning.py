"""Remove the endpoint configs, models and logs of former releases, but never one that a stage may need.

A rollback makes its own from the run's manifest, so what is removed is only what SageMaker keeps of the past.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta

from sluice.catalog import keys
from sluice.catalog.records.releases import Stage
from sluice.domain import tags
from sluice.domain.release import leftovers
from sluice.domain.release.leftovers import Made
from sluice.domain.release.releases import RollbackOptions
from sluice.domain.times import from_iso, to_iso
from sluice.lazy import dataclass
from sluice.ports import Cloud, Item
from sluice.services.release import deploying, old_logs, releasing
from sluice.services.timeline import note

# A release makes its model before anything names it.
_SETTLED = timedelta(days=1)
Remaining = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class _Needed:
    """What a stage may need: configs by name, releases by id."""

    configs: set[str]
    releases: set[str]


def clean(cloud: Cloud, keep: int, has_time: Remaining) -> dict[str, dict[str, int]]:
    """Remove what is older than the newest `keep` of each stage; returns what went, by pipeline.

    What there is no time for is found by the next pass.
    """
    stages = [
        stage
        for item in cloud.catalog.listing(keys.PIPELINES)
        for stage in releasing.find_stages(cloud, keys.pipeline_of(item))
    ]
    removed: dict[str, Counter[str]] = defaultdict(Counter)
    needed = {(stage.pipeline, stage.name): _needed(cloud, stage) for stage in stages}
    left = _clean_configs(cloud, stages, needed, keep, has_time, removed)
    releases = {each.release_id for each in left}.union(*(each.releases for each in needed.values()))
    _clean_models(cloud, stages, keep, has_time, removed, releases)
    served = {where: each.releases for where, each in needed.items()}
    old_logs.clean(cloud, stages, served, keep, has_time, removed)
    removed = {pipeline: counted for pipeline, counted in removed.items() if counted.total()}
    for pipeline, counted in removed.items():
        note(cloud, pipeline, cloud.now(), pipeline, "cleaned up", leftovers.said(counted))
    return {pipeline: dict(counted) for pipeline, counted in removed.items()}


def _clean_configs(
    cloud: Cloud,
    stages: list[Stage],
    needed: Mapping[tuple[str, str], _Needed],
    keep: int,
    has_time: Remaining,
    removed: dict[str, Counter[str]],
) -> list[Made]:
    """Remove old configs; returns those that are left."""
    found, gone = [*_configs(cloud, stages)], set[str]()
    for stage in stages:
        kept = needed[stage.pipeline, stage.name].configs
        mine = [each for each in found if (each.pipeline, each.stage) == (stage.pipeline, stage.name)]
        # What a release under way may go back to is known at its end.
        old = [] if stage.releasing else leftovers.old_configs(mine, keep, kept)
        for each in _ours(cloud, old, has_time):
            cloud.endpoints.delete_config(each.name)
            gone.add(each.name)
            removed[each.pipeline]["endpoint config"] += 1
    return [each for each in found if each.name not in gone]


def _clean_models(
    cloud: Cloud,
    stages: list[Stage],
    keep: int,
    has_time: Remaining,
    removed: dict[str, Counter[str]],
    needed: set[str],
) -> None:
    before = to_iso(from_iso(cloud.now()) - _SETTLED)
    by_pipeline = defaultdict[str, list[Made]](list)
    for each in _models(cloud):
        by_pipeline[each.pipeline].append(each)
    for pipeline in dict.fromkeys(stage.pipeline for stage in stages):
        old = leftovers.old_models(by_pipeline[pipeline], keep, needed, before)
        for each in _ours(cloud, old, has_time):
            cloud.endpoints.delete_model(each.name)
            removed[pipeline]["model"] += 1


def _needed(cloud: Cloud, stage: Stage) -> _Needed:
    """Return what serves, is being released, or would be put back; and what the endpoint itself names.

    An endpoint that somebody changed by hand may serve an old config: removing that would break it.
    """
    endpoint = cloud.endpoints.describe_endpoint(stage.endpoint_name) or {}
    pending = endpoint.get("PendingDeploymentSummary") or {}
    live = deploying.find_deployment(cloud, stage.pipeline, stage.name, stage.live or stage.retired)
    options = RollbackOptions(deploying.find_history(cloud, live), live, cloud.now()) if live else None
    known_good = next(options.known_good(), None) if options else None
    deployments = [each for each in (live, known_good) if each is not None]
    named = {endpoint.get("EndpointConfigName"), pending.get("EndpointConfigName")}
    found = (leftovers.release_of_name(cloud.stack_name, str(each), [stage.name]) for each in named)
    return _Needed(
        configs={*(each.endpoint_config_name for each in deployments), *map(str, named)},
        releases={
            *(each.release_id for each in deployments),
            *(each[0] for each in found if each),
            *([stage.releasing] if stage.releasing else []),
        },
    )


def _configs(cloud: Cloud, stages: list[Stage]) -> Iterator[Made]:
    """Yield the configs of releases; one whose name was cut is left alone."""
    known = dict.fromkeys(stage.name for stage in stages)
    for name, arn, at in map(_listed, cloud.endpoints.list_configs(f"{cloud.stack_name}--")):
        found = leftovers.release_of_name(cloud.stack_name, name, known)
        if found is not None:
            yield Made(name, arn, at, *found)


def _models(cloud: Cloud) -> Iterator[Made]:
    begin = f"{cloud.stack_name}--"
    for name, arn, at in map(_listed, cloud.endpoints.list_models(begin)):
        release_id = name.removeprefix(begin)
        if leftovers.pipeline_of(release_id):
            yield Made(name, arn, at, release_id)


def _listed(summary: Item) -> tuple[str, str, str]:
    return summary["Name"], summary["Arn"], to_iso(summary["CreationTime"])


def _ours(cloud: Cloud, old: Iterable[Made], has_time: Remaining) -> Iterator[Made]:
    """Yield those that carry the stack's tags, while there is time."""
    for each in old:
        if not has_time():
            return
        owner = {**tags.of_pipeline(cloud.stack_name, each.pipeline), tags.RELEASE: each.release_id}
        if tags.are_on(owner, cloud.endpoints.tags(each.arn)):
            yield each
