"""Show batches: what waits to be scored, and what transforms made of what they took."""

from __future__ import annotations

from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.transforms import Batches
from sluice.domain.build.usage import seconds
from sluice.domain.release import transforms
from sluice.ports import Cloud
from sluice.services.release import releasing, transforming

TRANSFORMS = 20
_WAITING_MAX = 100


def batches(cloud: Cloud, pipeline: str, limit: int = TRANSFORMS, after: str | None = None) -> dict[str, Any]:
    """Return what scores, what waits, and the newest transforms, or those older than the one named `after`.

    The answer's `after` names the last transform on this page, None if it is the last of all.
    """
    live = transforming.find_live(cloud, pipeline)
    config = releasing.live_config(cloud, live) if live else None
    batch = config.serve.compute.batch if config else None
    item = cloud.catalog.get(keys.batches_key(pipeline))
    state = Batches.of(item) if item else Batches(pipeline)
    partition = keys.partition(pipeline)
    waiting = cloud.catalog.query(partition, keys.AWAITED, limit=_WAITING_MAX)
    aside = cloud.catalog.query(partition, keys.SET_ASIDE, limit=_WAITING_MAX)
    begins = keys.transform_key(pipeline, after)["sk"] if after else None
    read = cloud.catalog.query(partition, keys.TRANSFORMS, after=begins, newest_first=True, limit=limit + 1)
    found = read[:limit]
    return {
        "pipeline": pipeline,
        "folder": transforms.folder(pipeline),
        "stage": live.stage if live else None,
        "package_version": live.package_version if live else None,
        "in_flight": state.in_flight,
        "next_at": transforms.due_at(state, batch.every_s if batch else None),
        "waiting": [keys.shown(each) for each in waiting],
        "set_aside": [keys.shown(each) for each in aside],
        "transforms": [
            {
                "transform_id": keys.transform_of(each),
                **keys.shown(each),
                "took_s": seconds(each.get("started_at"), each.get("ended_at")),
            }
            for each in found
        ],
        "after": keys.transform_of(found[-1]) if len(read) > limit else None,
    }
