"""Add CloudFormation resource types that ministack lacks."""

from __future__ import annotations

import json
from typing import Any

from ministack.services import cloudwatch, eventbridge
from ministack.services.cloudformation import provisioners

Properties = dict[str, Any]
Created = tuple[str, Properties]


def _create_archive(logical_id: str, props: Properties, stack: str) -> Created:
    name = props.get("ArchiveName") or provisioners._physical_name(stack, logical_id, max_len=48)
    response = eventbridge._create_archive(_archive_request(name, props))
    return name, {"ArchiveName": name, "Arn": _answer(response)["ArchiveArn"]}


def _update_archive(name: str, old: Properties, new: Properties, stack: str) -> Created:
    response = eventbridge._update_archive(_archive_request(name, new))
    return name, {"ArchiveName": name, "Arn": _answer(response)["ArchiveArn"]}


def _archive_request(name: str, props: Properties) -> Properties:
    request = {"ArchiveName": name, "EventSourceArn": props["SourceArn"]}
    if "EventPattern" in props:
        request["EventPattern"] = json.dumps(props["EventPattern"])
    if "RetentionDays" in props:
        request["RetentionDays"] = int(props["RetentionDays"])
    return request | {key: props[key] for key in ("Description",) if key in props}


def _create_composite_alarm(logical_id: str, props: Properties, stack: str) -> Created:
    name = props.get("AlarmName") or provisioners._physical_name(stack, logical_id, max_len=255)
    return _put_composite_alarm(name, props)


def _update_composite_alarm(name: str, old: Properties, new: Properties, stack: str) -> Created:
    return _put_composite_alarm(name, new)


def _put_composite_alarm(name: str, props: Properties) -> Created:
    _answer(cloudwatch._put_composite_alarm({}, {**props, "AlarmName": name}, is_cbor=False, is_json=True))
    return name, {"Arn": cloudwatch._composite_alarms[name]["AlarmArn"]}


def _delete_composite_alarm(name: str, props: Properties) -> None:
    _answer(cloudwatch._delete_alarms({}, {"AlarmNames": [name]}, is_cbor=False, is_json=True))


def _answer(response: Any) -> Properties:
    """Return the body of a service call; raises ValueError with its message if it was refused."""
    body = json.loads(response[2] or b"{}")
    if response[0] >= 400:
        raise ValueError(body.get("message") or body.get("Message") or str(body))
    return dict(body)


ARCHIVE = {
    "create": _create_archive,
    "update": _update_archive,
    "delete": lambda name, props: eventbridge._delete_archive({"ArchiveName": name}),
}
COMPOSITE_ALARM = {
    "create": _create_composite_alarm,
    "update": _update_composite_alarm,
    "delete": _delete_composite_alarm,
}
