"""Scale a stage's endpoint as its live release wants it, and as a person wishes."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog.changes import releases as changes
from sluice.catalog.records.releases import Scaled, Stage
from sluice.domain.actors import unverified
from sluice.domain.release import scaling as rules
from sluice.domain.times import from_iso, to_iso
from sluice.events import ScalingDue, Wish, event_parser
from sluice.observability import logger
from sluice.ports import Cloud
from sluice.services.release import deploying, releasing, scaling
from sluice.services.timeline import note


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=ScalingDue)
def lambda_handler(event: ScalingDue, context: LambdaContext) -> dict[str, Any]:
    cloud, asked = wiring.cloud(), event.detail
    logger.append_keys(pipeline=asked.pipeline, stage=asked.stage)
    stage = releasing.find_stage(cloud, asked.pipeline, asked.stage)
    if stage is None:
        return {"status": "no stage"}
    if asked.wish is not None:
        stage = _record(cloud, stage, asked.wish, to_iso(from_iso(event.time)))
    changed = scaling.settle(cloud, stage)
    if changed and asked.wish is None:
        note(
            cloud,
            stage.pipeline,
            cloud.now(),
            str(stage.live),
            "scaled",
            f"{stage.name}: {'; '.join(changed)}",
        )
    return {"status": "scaled" if changed else "nothing to do", "changed": changed}


def _record(cloud: Cloud, stage: Stage, wish: Wish, at: str) -> Stage:
    """Record a person's wish, or its end, with what came of it; returns the stage with it."""
    if (stage.wish_answer or {}).get("request_id") == wish.request_id:
        return stage
    actor = unverified(wish.actor)
    scaled = Scaled.of(wish.model_dump() | {"actor": actor, "at": at})
    fault = _fault(cloud, stage, scaled)
    answered = {"request_id": wish.request_id, "fault": fault}
    kept = stage.scaled if fault else None if scaled.is_empty else scaled
    if cloud.catalog.apply(changes.scale_stage(stage, kept, answered)):
        what = "not scaled" if fault else "scaling"
        subject = stage.live or f"{stage.pipeline}-{stage.name}"
        detail = f"{stage.name}: {rules.wished(scaled)}{f': {fault}' if fault else ''}"
        note(cloud, stage.pipeline, at, subject, what, detail, actor)
    return releasing.find_stage(cloud, stage.pipeline, stage.name) or stage


def _fault(cloud: Cloud, stage: Stage, wish: Scaled) -> str | None:
    live = deploying.find_deployment(cloud, stage.pipeline, stage.name, stage.live)
    config = releasing.live_config(cloud, live) if live else None
    if config is None:
        return "nothing serves there"
    if wish.is_empty:
        return None
    traffic = next(
        (each.traffic.type for each in config.release.stages if each.name == stage.name), "all_at_once"
    )
    return rules.fault(config.serve.compute, wish, traffic)
