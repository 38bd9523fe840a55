"""Read captured records: the lines that SageMaker writes about requests to an endpoint and their answers."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from sluice.domain.config.models import PipelineConfig
from sluice.domain.monitor import bodies
from sluice.domain.monitor.bodies import CaptureError, Row
from sluice.domain.predictions.table import class_name
from sluice.lazy import dataclass

# Names of what is predicted, and of its score, where the project names none.
_PREDICTED = ("prediction", "predicted_label", "label", "class")
_SCORED = ("score", "probability")


@dataclass(frozen=True, slots=True)
class Shape:
    """How requests and answers of a project look; `types` are the columns of a request."""

    types: Mapping[str, str]
    columns: Sequence[str]
    request_rows: str | None
    answer_rows: str | None
    predicted: Sequence[str]
    scored: Sequence[str]
    # Whether what is predicted is a number, and no class.
    is_number: bool
    # Whether an answer of numbers alone holds scores.
    is_score: bool

    @classmethod
    def of(cls, config: PipelineConfig) -> Shape:
        """Return the shape that `monitor` names; raises ValueError if the project is not watched."""
        from sluice.domain.config.prediction_metrics import METRICS

        monitor, data = config.monitor, config.data
        if monitor is None:
            raise ValueError(f"{config.name} is not watched")
        columns = monitor.request.columns or [name for name in data.columns if name != data.label]
        answer, metric = monitor.answer, METRICS[monitor.quality.metric]
        return cls(
            types={name: data.columns[name].type for name in columns},
            columns=list(columns),
            request_rows=monitor.request.rows,
            answer_rows=monitor.answer.rows,
            predicted=[answer.prediction] if answer.prediction else [data.label, *_PREDICTED],
            scored=[answer.score] if answer.score else _SCORED,
            is_number=metric.needs == "numbers",
            is_score=metric.needs == "scores",
        )


@dataclass(frozen=True, slots=True)
class Predicted:
    """A row that was asked about, and what was answered. `id` is the inference's with the row's number."""

    id: str
    at: str
    row: Row
    prediction: str | None
    score: float | None


@dataclasses.dataclass
class Traffic:
    """What was captured in a time; later answers about the same row replace earlier ones."""

    rows: dict[str, Predicted] = field(default_factory=dict)
    requests: int = 0
    # Why records could not be read, with their number.
    unreadable: dict[str, int] = field(default_factory=dict)

    def add(self, line: str, shape: Shape, *, ignored: str) -> None:
        """Add the rows of a captured record, unless its inference id is the ignored one."""
        try:
            record = _Record.of(line)
            if record.id == ignored:
                return
            self.requests += 1
            for each in read(record, shape):
                self.rows[each.id] = each
        except CaptureError as error:
            self.unreadable[str(error)] = self.unreadable.get(str(error), 0) + 1


@dataclass(frozen=True, slots=True)
class Asked:
    """A captured request, by the digest of what it asks, and what was predicted of each of its rows."""

    question: str
    rows: Sequence[Predicted]


def asked(line: str, shape: Shape, *, ignored: str) -> Asked | None:
    """Read a captured record; None of one with the ignored inference id. Raises CaptureError."""
    record = _Record.of(line)
    if record.id == ignored:
        return None
    question = hashlib.sha256(str(record.request.get("data")).encode()).hexdigest()
    return Asked(question, [*read(record, shape)])


def row_id(inference_id: str, row: int) -> str:
    """Name a row of a request."""
    return f"{inference_id}#{row}"


@dataclass(frozen=True, slots=True)
class _Record:
    id: str
    at: str
    request: Mapping[str, Any]
    answer: Mapping[str, Any]

    @classmethod
    def of(cls, line: str) -> _Record:
        """Parse a line; without an inference id of the caller's, SageMaker's event id names it."""
        try:
            found = json.loads(line)
            about, data = found["eventMetadata"], found["captureData"]
            identity = about.get("inferenceId") or about["eventId"]
            sides = {**data["endpointInput"]}, {**data["endpointOutput"]}
            return cls(str(identity), str(about["inferenceTime"]), *sides)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise CaptureError("the record is none of SageMaker's") from None


def read(record: _Record, shape: Shape) -> Iterator[Predicted]:
    """Yield the rows of a record with their predictions; raises CaptureError."""
    rows = _side("request", record.request, shape)
    answers = _side("answer", record.answer, shape)
    if len(rows) == 1 and len(answers) != 1 and not isinstance(answers[0] if answers else None, dict):
        answers = [answers]
    if len(rows) != len(answers):
        raise CaptureError("the answer has another number of predictions than the request has rows")
    for index, (row, answer) in enumerate(zip(rows, answers, strict=True)):
        prediction, score = _predicted(answer, shape)
        identity = row_id(record.id, index)
        yield Predicted(identity, record.at, bodies.typed(row, shape.types), prediction, score)


def _side(what: str, side: Mapping[str, Any], shape: Shape) -> list[Any]:
    try:
        text, kind = _text(side)
        if what == "request":
            if kind == "CSV":
                return list(bodies.rows_of_csv(text, shape.columns))
            return list(bodies.rows_of_json(text, shape.columns, shape.request_rows))
        if kind == "CSV":
            return _csv_answers(bodies.lines_of_csv(text))
        return bodies.values_of_json(text, [*shape.predicted, *shape.scored], shape.answer_rows)
    except CaptureError as error:
        raise CaptureError(f"the {what} {error}") from None


def _text(side: Mapping[str, Any]) -> tuple[str, str]:
    """Return a side's text and whether it is CSV or JSON; SageMaker may have written base64."""
    encoding, data = side.get("encoding"), side.get("data")
    if not isinstance(data, str):
        raise CaptureError("has no data")
    if encoding in ("CSV", "JSON"):
        return data, str(encoding)
    kind = str(side.get("observedContentType", ""))
    if "csv" not in kind and "json" not in kind:
        raise CaptureError(f"is of the type {kind or 'unknown'}, neither JSON nor CSV")
    try:
        return base64.b64decode(data, validate=True).decode(), "CSV" if "csv" in kind else "JSON"
    except (binascii.Error, UnicodeDecodeError):
        raise CaptureError("is no text in UTF-8") from None


def _csv_answers(table: list[list[str]]) -> list[Any]:
    """Return an answer for each row; a single line may hold the predictions of several."""
    if len(table) == 1:
        return list(table[0])
    return [line[0] if len(line) == 1 else line for line in table]


def _predicted(answer: Any, shape: Shape) -> tuple[str | None, float | None]:
    """Return what was predicted and its score, as texts and numbers that compare."""
    if isinstance(answer, dict):
        value = next((answer[name] for name in shape.predicted if name in answer), None)
        score = next((answer[name] for name in shape.scored if name in answer), None)
    elif isinstance(answer, list):
        value, score = (*answer, None, None)[:2]
    else:
        value, score = (None, answer) if shape.is_score else (answer, None)
    if value is None and score is None:
        raise CaptureError(f"the answer has none of {', '.join([*shape.predicted, *shape.scored])}")
    return _named(value, shape), _number(score)


def _named(value: Any, shape: Shape) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value)
    return text if shape.is_number else class_name(text)


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
