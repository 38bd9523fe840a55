"""Announce changes of an alarm's state on EventBridge, and to the Lambda functions among its actions."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudwatch, eventbridge, lambda_svc

from sluice_local.patches.alarms.evaluation import iso_timestamp, queries

_ACTIONS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
_announced: dict[str, dict[str, str]] = {}
_lock = threading.Lock()


def announce(alarm: Mapping[str, Any], old_state: str, new_state: str) -> None:
    """Publish the transition and invoke the functions among the alarm's actions."""
    state = _state(alarm)
    with _lock:
        previous = _announced.get(alarm["AlarmArn"], {})
        _announced[alarm["AlarmArn"]] = state
    if previous.get("value") != old_state:
        previous = _initial_state(alarm, old_state)
    change = {
        "alarmName": alarm["AlarmName"],
        "state": state,
        "previousState": previous,
        "configuration": _configuration(alarm),
    }
    _publish(alarm, change)
    if alarm.get("ActionsEnabled", True):
        for action in alarm.get(_ACTIONS[new_state]) or []:
            if ":lambda:" in action:
                _invoke(action, alarm, change)


def _publish(alarm: Mapping[str, Any], change: Mapping[str, Any]) -> None:
    entry = {
        "Source": "aws.cloudwatch",
        "DetailType": "CloudWatch Alarm State Change",
        "Detail": json.dumps(change),
        "Resources": [alarm["AlarmArn"]],
    }
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def _invoke(function_arn: str, alarm: Mapping[str, Any], change: Mapping[str, Any]) -> None:
    function, config, _ = lambda_svc._get_func_record_for_ref(function_arn)
    if not function:
        cloudwatch.logger.warning("alarm action: there is no function %s", function_arn)
        return
    event = {
        "source": "aws.cloudwatch",
        "alarmArn": alarm["AlarmArn"],
        "accountId": get_account_id(),
        "time": change["state"]["timestamp"],
        "region": get_region(),
        "alarmData": change,
    }
    lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(function, config), event)


def _state(alarm: Mapping[str, Any]) -> dict[str, str]:
    state = {
        "value": alarm["StateValue"],
        "reason": alarm["StateReason"],
        "reasonData": alarm.get("StateReasonData"),
        "timestamp": iso_timestamp(alarm["StateUpdatedTimestamp"]),
    }
    return {key: value for key, value in state.items() if value}


def _initial_state(alarm: Mapping[str, Any], value: str) -> dict[str, str]:
    timestamp = iso_timestamp(alarm["AlarmConfigurationUpdatedTimestamp"])
    return {"value": value, "reason": "Unchecked: Initial alarm creation", "timestamp": timestamp}


def _configuration(alarm: Mapping[str, Any]) -> dict[str, Any]:
    description = {"description": alarm["AlarmDescription"]} if alarm.get("AlarmDescription") else {}
    if "AlarmRule" in alarm:
        return {**description, "alarmRule": alarm["AlarmRule"]}
    return {**description, "metrics": [_query(query) for query in queries(alarm)]}


def _query(query: Mapping[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"id": query["Id"]}
    if "MetricStat" in query:
        described["metricStat"] = _metric_stat(query["MetricStat"])
    else:
        described["expression"] = query["Expression"]
    if query.get("Label"):
        described["label"] = query["Label"]
    return {**described, "returnData": query.get("ReturnData", True)}


def _metric_stat(stat: Mapping[str, Any]) -> dict[str, Any]:
    metric = stat["Metric"]
    return {
        "metric": {
            "namespace": metric["Namespace"],
            "name": metric["MetricName"],
            "dimensions": cloudwatch._dims_from_list(metric.get("Dimensions") or []),
        },
        "period": stat["Period"],
        "stat": stat["Stat"],
        **({"unit": stat["Unit"]} if stat.get("Unit") else {}),
    }
