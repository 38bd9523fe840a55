"""Evaluate CloudWatch alarms on a timer and announce them on EventBridge, as AWS does.

Ministack ignores dimensions, DatapointsToAlarm, TreatMissingData and metric math, evaluates only when a
metric is put, and notifies only SNS.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import cloudwatch
from ministack.services.cloudformation import provisioners

from sluice_local.patches.alarms import data, events, metric_requests, metric_store
from sluice_local.patches.alarms.evaluation import AlarmState, evaluate, queries, timeline
from sluice_local.patches.alarms.requests import InvalidAlarmError, from_query, metric_alarm
from sluice_local.settings import Settings

TICK_S = 1.0

_STATES = ("OK", "ALARM", "INSUFFICIENT_DATA")
_lock = threading.RLock()
_caches: dict[tuple[str, str], metric_store.SeriesCache] = {}

Response = tuple[int, dict[str, str], bytes]


def install(settings: Settings) -> None:
    """Replace the alarm operations, and start the evaluation timer."""
    metric_store.install()
    data.install()
    metric_requests.install()
    cloudwatch._put_metric_alarm = _put_metric_alarm
    cloudwatch._set_alarm_state = _set_alarm_state
    cloudwatch._dispatch_alarm_actions = _announcing(cloudwatch._dispatch_alarm_actions)
    cloudwatch._evaluate_alarm = _leave_to_the_timer
    cloudwatch._evaluate_all_alarms = _leave_to_the_timer
    provisioners._cw_metric_alarm_record = _record_of_template
    threading.Thread(target=_tick_forever, name="alarms", daemon=True).start()


def _tick_forever() -> None:
    while True:
        time.sleep(TICK_S)
        for account, region, name in list(cloudwatch._alarms._data):
            with request_scope(account, region):
                _evaluate(name)


def _leave_to_the_timer(*_: Any) -> None:
    """Do nothing: on AWS neither PutMetricAlarm nor PutMetricData evaluates before it answers."""


def _evaluate(name: str) -> None:
    alarm = cloudwatch._alarms.get(name)
    if alarm is None:
        return
    try:
        now = time.time()
        verdict = evaluate(alarm, _datapoints(alarm, now), now)
        transition(alarm, verdict.state, verdict.reason, json.dumps(verdict.reason_data))
    except Exception:
        cloudwatch.logger.exception("the alarm %s could not be evaluated", name)


def _datapoints(alarm: Mapping[str, Any], now: float) -> dict[str, dict[int, float]]:
    moments = timeline(alarm, now)
    return {
        query["Id"]: metric_store.series(
            query["MetricStat"], moments, _caches.setdefault((alarm["AlarmArn"], query["Id"]), {})
        )
        for query in queries(alarm)
        if "MetricStat" in query
    }


def transition(alarm: dict[str, Any], state: AlarmState, reason: str, reason_data: str | None) -> None:
    """Move the alarm to `state` and announce it, unless it is there already or was replaced."""
    name = alarm["AlarmName"]
    with _lock:
        old_state = alarm["StateValue"]
        current = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name)
        if state == old_state or alarm is not current:
            return
        moment = round(time.time(), 3)
        alarm.update(
            StateValue=state,
            StateReason=reason,
            StateReasonData=reason_data,
            StateUpdatedTimestamp=moment,
            StateTransitionedTimestamp=moment,
        )
    cloudwatch._composite_triggers.pop(name, None)
    kind = "CompositeAlarm" if "AlarmRule" in alarm else "MetricAlarm"
    cloudwatch._record_history(name, old_state, state, reason, kind, reason_data and json.loads(reason_data))
    cloudwatch._dispatch_alarm_actions(alarm, old_state, state, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def _announcing(dispatch_to_sns: Callable[..., None]) -> Callable[..., None]:
    def dispatch(alarm: Mapping[str, Any], old_state: str, new_state: str, reason: str) -> None:
        events.announce(alarm, old_state, new_state)
        dispatch_to_sns(alarm, old_state, new_state, reason)

    return dispatch


def _put_metric_alarm(params: Any, data: Any, is_cbor: bool, is_json: bool = False) -> Response:
    members = data if is_cbor or is_json else from_query(params)
    name = members.get("AlarmName", "")
    tags = cloudwatch._alarm_request_tags(params, data, is_cbor, is_json)
    is_new = name not in cloudwatch._alarms
    refused = cloudwatch._alarm_tags_refusal(tags, None, is_new, is_cbor, is_json)
    if refused:
        return refused  # type: ignore[no-any-return]
    try:
        with _lock:
            alarm = cloudwatch._alarms[name] = _record(name, members)
    except InvalidAlarmError as error:
        return _refusal("ValidationError", str(error), 400, is_cbor, is_json)
    if is_new:
        _record_creation(name)
        if tags:
            cloudwatch._resource_tags[alarm["AlarmArn"]] = {tag["Key"]: tag["Value"] for tag in tags}
    return _empty("PutMetricAlarm", is_cbor, is_json)


def _record(name: str, members: Mapping[str, Any]) -> dict[str, Any]:
    arn = f"arn:aws:cloudwatch:{get_region()}:{get_account_id()}:alarm:{name}"
    return metric_alarm(name, members, arn, cloudwatch._alarms.get(name), round(time.time(), 3))


def _record_of_template(name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Make a template's alarm: ministack refuses `Metrics`, and knows only some properties."""
    return _record(name, properties)


def _record_creation(name: str) -> None:
    initial = "INSUFFICIENT_DATA"
    cloudwatch._record_history(name, initial, initial, "Unchecked: Initial alarm creation")


def _set_alarm_state(params: Any, data: Any, is_cbor: bool, is_json: bool = False) -> Response:
    members = data if is_cbor or is_json else from_query(params)
    name, state = members.get("AlarmName", ""), members.get("StateValue", "")
    alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name)
    if alarm is None:
        return _refusal("ResourceNotFound", f"Alarm {name} not found", 404, is_cbor, is_json)
    if state not in _STATES:
        message = f"StateValue must be one of {', '.join(_STATES)}"
        return _refusal("ValidationError", message, 400, is_cbor, is_json)
    transition(alarm, state, members.get("StateReason", ""), members.get("StateReasonData") or None)
    return _empty("SetAlarmState", is_cbor, is_json)


def _refusal(code: str, message: str, status: int, is_cbor: bool, is_json: bool) -> Response:
    return cloudwatch._error(code, message, status, use_json=is_json, use_cbor=is_cbor)  # type: ignore[no-any-return]


def _empty(operation: str, is_cbor: bool, is_json: bool) -> Response:
    if is_cbor:
        return cloudwatch._cbor_ok({})  # type: ignore[no-any-return]
    if is_json:
        return cloudwatch._json_ok({})  # type: ignore[no-any-return]
    return cloudwatch._xml(200, f"{operation}Response", "")  # type: ignore[no-any-return]
