"""Remove the log streams of instances and transform jobs of former releases, and groups of retired endpoints.

A stream is of an instance and not of a release: what was made before the oldest kept release began is of none
that serves, or would be put back.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import timedelta

from sluice.catalog import keys
from sluice.catalog.records.releases import Stage
from sluice.domain import names
from sluice.domain.build import log_tails
from sluice.domain.times import from_iso, to_iso
from sluice.ports import Cloud
from sluice.services.release import deploying, releasing

# SageMaker's clock and ours may differ.
_CLOCKS = timedelta(hours=1)
_OF_A_TRANSFORM = re.compile(r"\d{5}/.*")
Remaining = Callable[[], bool]


def clean(
    cloud: Cloud,
    stages: Sequence[Stage],
    needed: Mapping[tuple[str, str], Collection[str]],
    keep: int,
    has_time: Remaining,
    removed: Mapping[str, Counter[str]],
) -> None:
    """Remove what is older than the newest `keep` releases of each stage, and than those it needs."""
    for stage in stages:
        group = log_tails.ENDPOINT_GROUP.format(name=stage.endpoint_name)
        if _is_long_retired(cloud, stage, stages, keep):
            removed[stage.pipeline]["log group"] += cloud.log_streams.delete_group(group)
            continue
        before = cutoff(cloud, stage, needed.get((stage.pipeline, stage.name), ()), keep)
        if before is None:
            continue
        places = [(group, ""), *_of_transforms(cloud, stage)]
        for each, prefix in places:
            for name in _old(cloud, each, prefix, before):
                if not has_time():
                    return
                removed[stage.pipeline]["log stream"] += cloud.log_streams.delete(each, name)


def cutoff(cloud: Cloud, stage: Stage, needed: Collection[str], keep: int) -> str | None:
    """Return when the oldest release began that is kept; None if all of the stage's are.

    While a release is under way, and where the catalog does not know when one began, all are.
    """
    if stage.releasing or not stage.is_linked:
        return None
    partition, prefix = keys.partition(stage.pipeline), f"{keys.PROMOTIONS}{stage.name}#"
    newest = cloud.catalog.query(partition, prefix, newest_first=True, limit=keep)
    if len(newest) < keep:
        return None
    kept = {*needed, *(str(item["release_id"]) for item in newest)}
    found = (releasing.find_release(cloud, stage.pipeline, release_id) for release_id in kept)
    begun = [release.started_at for release in found if release]
    return to_iso(from_iso(min(begun)) - _CLOCKS) if len(begun) == len(kept) else None


def _is_long_retired(cloud: Cloud, stage: Stage, stages: Sequence[Stage], keep: int) -> bool:
    """Tell whether a stage has no endpoint, and so many releases reached others since it was retired."""
    if stage.live or stage.releasing or not stage.retired:
        return False
    last = deploying.find_deployment(cloud, stage.pipeline, stage.name, stage.retired)
    if last is None or last.ended_at is None or cloud.endpoints.describe_endpoint(stage.endpoint_name):
        return False
    since = 0
    for other in stages:
        if other.pipeline == stage.pipeline and other.name != stage.name:
            span = keys.promotions_since(other.name, last.ended_at)
            found = cloud.catalog.query(keys.partition(stage.pipeline), between=span, limit=keep)
            since += len(found)
    return since >= keep


def _of_transforms(cloud: Cloud, stage: Stage) -> Iterator[tuple[str, str]]:
    """Yield where the streams of a stage's transform jobs are, if it has some: all jobs share a group."""
    live = deploying.find_deployment(cloud, stage.pipeline, stage.name, stage.live)
    if live is not None and live.is_batch:
        first = names.transform_id(stage.pipeline, 0)
        yield (
            log_tails.SAGEMAKER_GROUPS["transform_job"],
            names.transform_name(cloud.stack_name, first).removesuffix("00000"),
        )


def _old(cloud: Cloud, group: str, prefix: str, before: str) -> list[str]:
    found = cloud.log_streams.streams(group, prefix)
    # Another pipeline's name may begin like this one's.
    of_this = (
        (name, at) for name, at in found if not prefix or _OF_A_TRANSFORM.fullmatch(name.removeprefix(prefix))
    )
    return [name for name, at in of_this if at < before]
