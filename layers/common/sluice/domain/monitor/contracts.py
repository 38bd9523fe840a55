"""Say what requests and predictions must be like, as data contracts that the engine judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sluice.domain.config.models import Column, Data
from sluice.domain.config.monitor import Monitor, Volume

PREDICTION, SCORE = "prediction", "score"
# More unreadable records than this share are a fault of the capture or of what it is told.
UNREADABLE_MAX = 0.05


def of_requests(data: Data, columns: Sequence[str], monitor: Monitor) -> Data:
    """Return the contract of requests' rows: that of the data, without what only a data set can keep."""
    kept = {name: data.columns[name].model_copy(update={"unique": False}) for name in columns}
    return _contract(data, kept, monitor)


def of_predictions(data: Data, monitor: Monitor, *, is_number: bool, has: Mapping[str, bool]) -> Data:
    """Return the contract of predictions: the value that is predicted, its score, or both."""
    columns = {}
    if has[PREDICTION]:
        columns[PREDICTION] = Column(type="number" if is_number else "string")
    if has[SCORE]:
        columns[SCORE] = Column(type="number")
    drift = monitor.drift.model_copy(update={"columns": None})
    return _contract(data, columns, monitor.model_copy(update={"drift": drift}))


def _contract(data: Data, columns: Mapping[str, Column], monitor: Monitor) -> Data:
    changes = {
        "format": "jsonl",
        "mode": "append",
        "window": None,
        "columns": dict(columns),
        "keys": (),
        "quality": (),
        "bias": None,
        "drift": monitor.drift.limits(),
        "extra": "allow",
    }
    return data.model_copy(update=changes)


def volume_faults(rows: int, limits: Volume | None) -> list[str]:
    """Say whether a whole window has too few or too many predictions."""
    if limits is None:
        return []
    if limits.min is not None and rows < limits.min:
        return [f"{rows} predictions, and at least {limits.min} are expected"]
    if limits.max is not None and rows > limits.max:
        return [f"{rows} predictions, and at most {limits.max} are expected"]
    return []


def unreadable_faults(requests: int, unreadable: Mapping[str, int]) -> list[str]:
    """Say why records could not be read, if these are many."""
    lost = sum(unreadable.values())
    if lost <= UNREADABLE_MAX * max(requests, lost):
        return []
    return [f"{count} of {requests} records: {reason}" for reason, count in sorted(unreadable.items())]
