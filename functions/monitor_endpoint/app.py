"""Watch what serves: judge windows of captured requests, and join labels to them when these arrive.

The schedule names no pipeline: each that has something live is asked for in an event of its own, so that
one that fails leaves the others alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog import keys
from sluice.events import MonitoringAsked, event_parser
from sluice.observability import logger
from sluice.ports import Cloud
from sluice.quality.run import Limits
from sluice.services import announcing, finding
from sluice.services.monitoring import passes
from sluice.services.release import releasing

DUE = "MonitoringDue"
# Time to finish a window that was begun.
_RESERVE_S = 120


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=MonitoringAsked)
def lambda_handler(event: MonitoringAsked, context: LambdaContext) -> dict[str, Any]:
    cloud, detail = wiring.cloud(), event.detail
    if detail.object is not None and detail.bucket is not None:
        return _take_labels(cloud, detail.bucket.name, detail.object.key, detail.object.version_id)
    if detail.pipeline is None:
        return {"asked": _ask(cloud)}
    logger.append_keys(pipeline=detail.pipeline)
    judged = passes.judge_due(
        cloud,
        detail.pipeline,
        lambda folder: _limits(context, folder),
        lambda: context.get_remaining_time_in_millis() > _RESERVE_S * 1000,
        stage=detail.stage,
        request_id=detail.request_id,
    )
    logger.info("judged", extra={"windows": len(judged)})
    return {"judged": judged}


def _ask(cloud: Cloud) -> list[str]:
    """Ask for each pipeline that has something live."""
    found = []
    for item in cloud.catalog.listing(keys.PIPELINES):
        pipeline = keys.pipeline_of(item)
        if any(stage.live for stage in releasing.find_stages(cloud, pipeline)):
            announcing.announce(cloud, DUE, pipeline, {})
            found.append(pipeline)
    return found


def _take_labels(cloud: Cloud, bucket: str, key: str, version_id: str | None) -> dict[str, Any]:
    head = finding.find_object(cloud, bucket, key, version_id)
    if head is None:
        return {"status": "gone"}
    if (pipeline := finding.pipeline_below(head.key)) is None:
        return {"status": "ignored"}
    logger.append_keys(pipeline=pipeline)
    taken = passes.take_labels(cloud, pipeline, head)
    logger.info("labels", extra={"status": taken["status"], "labels": taken.get("labels", 0)})
    return taken


def _limits(context: LambdaContext, folder: Path) -> Limits:
    max_s = context.get_remaining_time_in_millis() / 1000 - _RESERVE_S / 2
    return Limits.of_function(int(context.memory_limit_in_mb), max_s, folder)
