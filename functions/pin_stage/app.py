"""Record that a person pinned what is live on a stage, or let go of it."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog.changes import releases as changes
from sluice.domain.actors import unverified
from sluice.domain.times import from_iso, to_iso
from sluice.events import StagePinned, event_parser
from sluice.observability import logger
from sluice.services.release import releasing
from sluice.services.timeline import note


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=StagePinned)
def lambda_handler(event: StagePinned, context: LambdaContext) -> dict[str, str]:
    cloud = wiring.cloud()
    logger.append_keys(pipeline=event.pipeline, stage=event.stage)
    stage = releasing.find_stage(cloud, event.pipeline, event.stage)
    if stage is None or stage.live != event.live:
        return {"status": "not live"}
    at, actor = to_iso(from_iso(event.time)), unverified(event.actor)
    if stage.pin and at < stage.pin["at"]:
        return {"status": "overtaken"}
    pin = {"release_id": event.live, "is_on": event.is_on, "at": at, "actor": actor, "reason": event.reason}
    if stage.pin != pin and not cloud.catalog.apply(changes.pin_stage(stage, pin)):
        return {"status": "changed meanwhile"}
    done = "pinned" if event.is_on else "pin removed"
    note(
        cloud,
        event.pipeline,
        at,
        event.live,
        done,
        f"{event.stage}: {event.reason or 'no reason given'}",
        actor,
    )
    return {"status": done}
