"""Read ground truth: labels of predictions by inference id, in Model Monitor's lines, JSON lines or CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sluice.domain.monitor.capture import row_id
from sluice.lazy import dataclass

MAX_BYTES = 64 * 1024 * 1024
_IDS = ("inference_id", "inferenceId", "event_id", "eventId", "id")
_ROW, _LABEL = "row", "label"
_ROW_NUMBER = re.compile("[0-9]{1,18}")
_SHOWN = 3


class TruthError(ValueError):
    """An upload of labels cannot be used; the message is a predicate of it."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Labels by row, and the lines that held none; of a label given twice the later one counts."""

    labels: Mapping[str, str]
    problems: Sequence[str] = ()


def read(data: bytes, label: str) -> Truth:
    """Read an upload; `label` is the label's name in the data. Raises TruthError."""
    if len(data) > MAX_BYTES:
        raise TruthError(f"has {len(data)} bytes, at most {MAX_BYTES}: upload several files")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise TruthError("is no text in UTF-8") from None
    found = _of_json(text, label) if text.lstrip().startswith("{") else _of_csv(text, label)
    labels: dict[str, str] = {}
    problems: list[str] = []
    try:
        for line, given in found:
            if isinstance(given, str):
                problems.append(f"line {line} {given}")
            else:
                labels |= given
    except csv.Error as error:
        raise TruthError(f"cannot be read: {error}") from None
    more = [f"{len(problems) - _SHOWN} more lines hold no label"] if len(problems) > _SHOWN else []
    if not labels:
        raise TruthError(f"has no label: {'; '.join(problems[:_SHOWN]) or 'it is empty'}")
    return Truth(labels, (*problems[:_SHOWN], *more))


def _of_json(text: str, label: str) -> Iterator[tuple[int, dict[str, str] | str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield number, _line(json.loads(line), label)
            except (ValueError, OverflowError, KeyError, TypeError, AttributeError, RecursionError):
                yield number, "is no ground truth"


def _line(found: Mapping[str, Any], label: str) -> dict[str, str]:
    if "groundTruthData" in found:
        given = found["groundTruthData"]
        about = found["eventMetadata"]
        values = [value for line in csv.reader(io.StringIO(given["data"])) for value in line]
        return _rows(str(about.get("inferenceId") or about["eventId"]), values)
    identity = next(str(found[name]) for name in _IDS if name in found)
    value = found[label] if label in found else found[_LABEL]
    values = value if isinstance(value, list) else [value]
    return _rows(identity, [_text(each) for each in values], int(found.get(_ROW, 0)))


def _of_csv(text: str, label: str) -> Iterator[tuple[int, dict[str, str] | str]]:
    reader = csv.reader(io.StringIO(text, newline=""))
    header = next(reader, [])
    identity = next((header.index(name) for name in _IDS if name in header), None)
    value = next((header.index(name) for name in (label, _LABEL) if name in header), None)
    if identity is None or value is None:
        raise TruthError(f"has no header with inference_id and {label}")
    row = header.index(_ROW) if _ROW in header else None
    for line in reader:
        if not line:
            continue
        if len(line) != len(header) or not line[identity] or not line[value]:
            yield reader.line_num, "is no ground truth"
        elif row is not None and not _ROW_NUMBER.fullmatch(line[row]):
            yield reader.line_num, f"has {line[row]!r} as its row"
        else:
            yield (
                reader.line_num,
                _rows(line[identity], [line[value]], int(line[row]) if row is not None else 0),
            )


def _rows(identity: str, values: Sequence[str], first: int = 0) -> dict[str, str]:
    if not all(values) or not values:
        raise ValueError("a label is empty")
    return {row_id(identity, first + index): value for index, value in enumerate(values)}


def _text(value: Any) -> str:
    if value is None:
        raise ValueError("a label is missing")
    return value if isinstance(value, str) else json.dumps(value)
