"""Start the rollback of a stage whose live release makes an alarm fire."""

from __future__ import annotations

from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog.records.releases import Deployment
from sluice.domain.release import alarms, releases
from sluice.domain.release.holds import Hold
from sluice.domain.release.releases import RollbackOptions
from sluice.domain.times import to_iso
from sluice.events import AlarmStateChanged, event_parser
from sluice.observability import logger
from sluice.ports import Cloud, Item
from sluice.services.release import deploying, holding, recovering, releasing
from sluice.services.release.recovering import Fault
from sluice.services.timeline import note


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=AlarmStateChanged)
def lambda_handler(event: AlarmStateChanged, context: LambdaContext) -> dict[str, Any]:
    cloud = wiring.cloud()
    name = event.alarm_name
    logger.append_keys(alarm_name=name)
    alarm = cloud.alarms.describe([name]).get(name)
    if alarm is None or alarm["StateValue"] != "ALARM":
        return {"status": "not firing"}
    stage = releasing.find_guarded_stage(cloud, name)
    if stage is None:
        return {"status": "not ours"}
    live = deploying.find_deployment(cloud, stage.pipeline, stage.name, stage.live)
    if stage.releasing:
        # SageMaker watches this update itself; if the alarm still fires then, reconcile sends it again.
        detail = f"{stage.releasing} is under way on {stage.name}: its own guard decides"
        _note(cloud, stage.pipeline, stage.endpoint_name, alarm, "alarm", detail)
        return {"status": "release under way"}
    if live is None:
        return {"status": "nothing live"}
    if not alarms.concerns(alarm, live, cloud.now(), stage.tried_at):
        return {"status": "about another version"}
    return _roll_back(cloud, live, alarm, holding.find_hold(cloud, stage, live))


def _roll_back(cloud: Cloud, live: Deployment, alarm: Item, hold: Hold | None) -> dict[str, Any]:
    name, since = alarm["AlarmName"], to_iso(alarms.fires_since(alarm))
    reason = f"{name}: {alarm.get('StateReason', 'it fires')}"
    ask = partial(releases.alarm_request, live.pipeline, live.stage, live, name, reason)
    fault = Fault(live, "alarm", since, name, ask)
    options = RollbackOptions(deploying.find_history(cloud, live), live, cloud.now())
    if not (hold and hold.is_pin) and next(options.known_good(), None) is None:
        nothing = releases.no_known_good(live, options.reasons())
        recovering.give_up(cloud, fault, "refused", nothing, since)
        return {"status": "no known good"}
    if hold:
        recovering.give_up(cloud, fault, hold.why, f"{reason}; {hold.reason}", since)
        return {"status": hold.why}
    _note(cloud, live.pipeline, live.release_id, alarm, "alarm", reason)
    release_id = recovering.recover(cloud, fault)
    if release_id is None:
        return {"status": "tried before"}
    logger.info("rollback started", extra={"release_id": release_id})
    return {"status": "rollback started", "release_id": release_id}


def _note(cloud: Cloud, pipeline: str, subject: str, alarm: Item, event: str, detail: str) -> None:
    """Note each transition of the alarm once, however often it is announced."""
    at = to_iso(alarm["StateUpdatedTimestamp"])
    note(cloud, pipeline, at, subject, event, detail, alarm["AlarmName"])
