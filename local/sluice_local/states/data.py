"""Convert the data that states pass on to compact JSON within the payload quota."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sluice_local.states.errors import ExecutionError

PAYLOAD_LIMIT_BYTES = 256 * 1024


def dumps(value: Any) -> str:
    """Write compact JSON, without escaping characters beyond ASCII."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def check_size(value: Any, source: str) -> str:
    """Return the value as JSON; fail the execution if it exceeds the payload quota."""
    text = dumps(value)
    if len(text.encode()) > PAYLOAD_LIMIT_BYTES:
        raise ExecutionError(
            "States.DataLimitExceeded",
            f"The state/task '{source}' returned a result with a size exceeding the maximum number of bytes "
            "service limit.",
        )
    return text


def stamp(moment: datetime) -> str:
    """Write a time in UTC as Step Functions does, in milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def is_number(value: Any) -> bool:
    """Tell whether a value is a JSON number, unlike true and false."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def moment(value: Any) -> datetime | None:
    """Parse an ISO 8601 time; None for other text."""
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
