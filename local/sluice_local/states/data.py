"""The data a state passes on, as compact JSON within the payload quota."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sluice_local.states.errors import ExecutionError

PAYLOAD_LIMIT_BYTES = 256 * 1024


def dumps(value: Any) -> str:
    """Compact JSON, characters beyond ASCII as they are."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def check_size(value: Any, source: str) -> str:
    """The value as JSON; fails the execution if it is over the payload quota."""
    text = dumps(value)
    if len(text.encode()) > PAYLOAD_LIMIT_BYTES:
        raise ExecutionError(
            "States.DataLimitExceeded",
            f"The state/task '{source}' returned a result with a size exceeding the maximum number of bytes "
            "service limit.",
        )
    return text


def stamp(moment: datetime) -> str:
    """A time in UTC as Step Functions writes it, in milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def is_number(value: Any) -> bool:
    """Whether JSON has the value as a number, which true and false are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def moment(value: Any) -> datetime | None:
    """The time that a text gives in ISO 8601, or None."""
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
