"""Refuse entries of PutEvents that EventBridge refuses: ministack delivers them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core.responses import error_response_json, json_response

Response = tuple[int, dict[str, str], bytes]

_REQUIRED = ("Source", "DetailType", "Detail")
_MOST = 10
_LONGEST_DETAIL_TYPE = 128
_LARGEST_REQUEST_BYTES = 1024 * 1024
_TIME_BYTES = 14


def checked(put_events: Callable[..., Response]) -> Callable[..., Response]:
    """Put the entries that are as they should be, and answer for all of them in their order."""

    def put(request: dict[str, Any], allow_aws_source: bool = False) -> Response:
        entries = request.get("Entries", [])
        if len(entries) > _MOST:
            return put_events(request, allow_aws_source=allow_aws_source)  # which refuses them all
        if sum(map(_size_bytes, entries)) > _LARGEST_REQUEST_BYTES:
            message = "Total size of the entries in the request is over the limit."
            return error_response_json("ValidationException", message, 400)  # type: ignore[no-any-return]
        refused = {index: found for index, each in enumerate(entries) if (found := _fault(each))}
        status, headers, body = put_events(
            {**request, "Entries": [each for index, each in enumerate(entries) if index not in refused]},
            allow_aws_source=allow_aws_source,
        )
        if status != 200 or not refused:
            return status, headers, body
        answered = json.loads(body)
        put_ones = iter(answered["Entries"])
        results = [refused.get(index) or next(put_ones) for index in range(len(entries))]
        failed = answered["FailedEntryCount"] + len(refused)
        return json_response({"FailedEntryCount": failed, "Entries": results})  # type: ignore[no-any-return]

    return put


def _fault(entry: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the answer for an entry that is refused; None for one that is put."""
    for name in _REQUIRED:
        if not entry.get(name):
            return _invalid(name, f"{name} is a required argument.")
    if len(entry["DetailType"]) > _LONGEST_DETAIL_TYPE:
        return _invalid("DetailType", f"DetailType must have at most {_LONGEST_DETAIL_TYPE} characters.")
    try:
        detail = json.loads(entry["Detail"])
    except ValueError:
        detail = None
    if isinstance(detail, dict):
        return None
    return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}


def _invalid(name: str, reason: str) -> dict[str, str]:
    message = f"Parameter {name} is not valid. Reason: {reason}"
    return {"ErrorCode": "InvalidArgument", "ErrorMessage": message}


def _size_bytes(entry: Mapping[str, Any]) -> int:
    """Return the size of an entry as EventBridge counts it."""
    texts = [*(entry.get(name) or "" for name in _REQUIRED), *entry.get("Resources", [])]
    return sum(len(text.encode()) for text in texts) + (_TIME_BYTES if "Time" in entry else 0)
