"""Score what is uploaded below `batch/`, and record what the transform jobs made of it."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

import sluice.domain.config  # noqa: F401 - each event needs it, and it loads faster before the first one
from sluice import wiring
from sluice.catalog import keys
from sluice.domain.actors import unverified
from sluice.domain.times import from_iso, to_iso
from sluice.events import BatchAsked, event_parser
from sluice.observability import logger
from sluice.ports import Cloud
from sluice.services import finding
from sluice.services.release import transforming
from sluice.services.timeline import note


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=BatchAsked)
def lambda_handler(event: BatchAsked, context: LambdaContext) -> dict[str, str]:
    cloud, detail = wiring.cloud(), event.detail
    if detail.job_name is not None:
        from sluice.services.release import transform_ends  # an upload is recorded without it

        logger.append_keys(job_name=detail.job_name)
        return {"status": transform_ends.conclude(cloud, detail.job_name)}
    if detail.object is not None and detail.bucket is not None:
        return _take(cloud, detail.bucket.name, detail.object.key, detail.object.version_id)
    pipeline = str(detail.pipeline)
    logger.append_keys(pipeline=pipeline)
    if detail.key is None or detail.version_id is None:
        return {"status": "hint", "transform": transforming.begin(cloud, pipeline)}
    status = transforming.ask(cloud, pipeline, detail.key, detail.version_id, detail.request_id or event.time)
    at, actor = to_iso(from_iso(event.time)), unverified(detail.actor or "somebody")
    note(cloud, pipeline, at, detail.key, "batch requested", status, actor)
    return {"status": status, "transform": transforming.begin(cloud, pipeline, is_now=True)}


def _take(cloud: Cloud, bucket: str, key: str, version_id: str | None) -> dict[str, str]:
    head = finding.find_object(cloud, bucket, key, version_id)
    if head is None:
        return {"status": "gone"}
    if (pipeline := finding.pipeline_below(head.key)) is None:
        return {"status": "ignored"}
    logger.append_keys(pipeline=pipeline, key=head.key)
    if cloud.catalog.get(keys.pipeline_key(pipeline)) is None:
        return {"status": "unclaimed"}
    status = transforming.take(cloud, pipeline, head)
    logger.info("batch", extra={"status": status})
    return {"status": status, "transform": transforming.begin(cloud, pipeline)}
