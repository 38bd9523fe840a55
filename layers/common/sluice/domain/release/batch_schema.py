"""Say whether a file that is to be scored has the rows that its project's models read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sluice.domain.monitor import bodies
from sluice.domain.monitor.bodies import CaptureError

if TYPE_CHECKING:
    from sluice.domain.config import PipelineConfig
    from sluice.domain.config.models import Column

# So much of a file is read before its transform.
READ_BYTES = 1 << 20
_SHOWN = 60


def checks(config: PipelineConfig) -> bool:
    """Tell whether a project's files can be checked: each line a row, as CSV or JSON, and wished."""
    batch, kind = config.serve.compute.batch, config.serve.content_type
    if batch is None or not batch.checked or batch.split != "line" or not _columns(config):
        return False
    return "csv" in kind or "json" in kind


def fault(data: bytes, config: PipelineConfig, *, is_whole: bool) -> str | None:
    """Say what is wrong with a file's first rows; None if they have the columns and types of a request.

    The line that a partial read ends in is not judged.
    """
    lines = data.split(b"\n")
    text = b"\n".join(lines if is_whole else lines[:-1]).decode("utf-8", "replace")
    columns = _columns(config)
    try:
        if "csv" in config.serve.content_type:
            rows: Iterable[Mapping[str, Any]] = bodies.rows_of_csv(text, columns)
        else:
            member = config.monitor.request.rows if config.monitor else None
            rows = bodies.rows_of_json(text, columns, member)
    except CaptureError as error:
        return f"it {error}"
    named = {name: config.data.columns[name] for name in columns}
    types = {name: column.type for name, column in named.items()}
    for number, row in enumerate(rows, start=1):
        if said := _row_fault(bodies.typed(row, types), named):
            return f"row {number}: {said}"
    return None


def _columns(config: PipelineConfig) -> Sequence[str]:
    """Return the columns of a request: those that are watched, or all but the label."""
    given = config.monitor.request.columns if config.monitor else ()
    return given or [name for name in config.data.columns if name != config.data.label]


def _row_fault(row: Mapping[str, Any], columns: Mapping[str, Column]) -> str | None:
    for name, column in columns.items():
        value = row.get(name)
        if value is None:
            if column.required:
                return f"{name} is missing"
        elif not _is_of(value, column.type):
            return f"{name} is {str(value)[:_SHOWN]!r}, and no {column.type}"
    return None


def _is_of(value: Any, type_: str) -> bool:
    if type_ in ("integer", "number"):
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return is_number and (type_ == "number" or float(value).is_integer())
    return isinstance(value, bool) if type_ == "boolean" else True
