"""Read predictions.csv, which a user's script wrote, so that any content has a defined outcome.

The file has a row for each row of the hold-out: `id`, `label`, `prediction` or `score` or both, and any
columns to slice by. A score is the chance of the positive label, or the number that a regression predicts.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from sluice.domain import nearest

CSV, PARQUET = "predictions.csv", "predictions.parquet"
FILES = (CSV, PARQUET)
MAX_BYTES = 64 * 1024 * 1024
MAX_ROWS = 500_000
MAX_COLUMNS = 50
_VALUE_MAX = 10_000
_NUMBER_MAX = 1e140
_SHOWN = 5
ID, LABEL, PREDICTION, SCORE = "id", "label", "prediction", "score"
# A column that is measured, and no feature.
LATENCY = "latency_ms"
OWN = (ID, LABEL, PREDICTION, SCORE)
WANTED = "id, label, prediction or score, and columns to slice by"
_CLASSES = {"true": "1", "false": "0"}


class PredictionsError(ValueError):
    """Predictions cannot be used; the message is a predicate of the file's name, and says what to do."""


@dataclass(frozen=True)
class Predictions:
    """A row of each sequence is a row of the hold-out; values are as written, an empty text if missing.

    `whole` is set if these are some rows of another table.
    """

    ids: Sequence[str]
    labels: Sequence[str]
    predicted: Sequence[str] | None
    scores: Sequence[float] | None
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sha256: str = ""
    # Of a file with a header the first row is its second line; Parquet has rows.
    first_line: int = 2
    whole: Predictions | None = None

    @cached_property
    def classes(self) -> frozenset[str]:
        """The classes that are a label or predicted, of the whole table."""
        if self.whole is not None:
            return self.whole.classes
        return frozenset(map(class_name, {*self.labels, *(self.predicted or ())}))

    def __len__(self) -> int:
        return len(self.ids)

    def column(self, name: str) -> Sequence[str]:
        """Return a column to slice by; raises PredictionsError."""
        if name not in self.columns:
            there = ", ".join(self.columns) or "no columns but its own"
            near = nearest.hint(name, self.columns)
            raise PredictionsError(
                f"has no column {name!r}: it has {there}{near}; let evaluate.script write the column"
            )
        return self.columns[name]

    def numbers(self, name: str) -> list[float]:
        """Return a column's finite numbers; raises PredictionsError at the first that is none."""
        own = {LABEL: self.labels, PREDICTION: self.predicted}
        values = own[name] if name in own else self.column(name)
        if values is None:
            raise PredictionsError(f"has no column {name!r}: let evaluate.script write it")
        return [_number(value, self.place(row), name) for row, value in enumerate(values)]

    def place(self, row: int) -> str:
        """Name a row as its file does, such as `line 2`."""
        return _place(row, self.first_line)

    def rows(self, chosen: Sequence[int]) -> Predictions:
        """Return some of the rows, by their positions."""

        def only(values: Sequence[str]) -> list[str]:
            return [values[row] for row in chosen]

        return Predictions(
            only(self.ids),
            only(self.labels),
            None if self.predicted is None else only(self.predicted),
            None if self.scores is None else [self.scores[row] for row in chosen],
            {name: only(values) for name, values in self.columns.items()},
            self.sha256,
            self.first_line,
            self.whole or self,
        )


def class_name(value: str) -> str:
    """Write a class in one way: 1, 1.0 and true are one class."""
    text = value.strip()
    if (known := _CLASSES.get(text.lower())) is not None:
        return known
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if math.isfinite(number) and number == int(number) else text


def too_large(size_bytes: int) -> PredictionsError:
    return PredictionsError(
        f"has {size_bytes} bytes, at most {MAX_BYTES}: leave out texts, or write it as {PARQUET}, "
        "or a sample of the hold-out"
    )


def read_csv(data: bytes) -> Predictions:
    """Read a CSV file with a header, in UTF-8; raises PredictionsError."""
    if len(data) > MAX_BYTES:
        raise too_large(len(data))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise PredictionsError(f"is no UTF-8 text at line {line}: write it with encoding='utf-8'") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, None)
        if not header:
            raise PredictionsError(f"is empty: write a header with {WANTED}")
        columns = _by_column(header, _lines(reader, len(header)))
    except csv.Error as error:
        raise PredictionsError(f"is no CSV at line {reader.line_num}: {error}") from None
    return build(columns, hashlib.sha256(data).hexdigest())


def _lines(reader: Iterator[Sequence[str]], width: int) -> Iterator[Sequence[str]]:
    for number, row in enumerate(reader, 2):
        if len(row) != width:
            if not row:
                raise PredictionsError(f"has an empty line {number}: write no line between rows")
            raise PredictionsError(f"has {len(row)} values in line {number}, and {width} columns")
        if number > MAX_ROWS + 1:
            raise PredictionsError(f"has more than {MAX_ROWS} rows: write a sample of the hold-out")
        yield row


def _by_column(header: Sequence[str], rows: Iterator[Sequence[str]]) -> dict[str, Sequence[str]]:
    check_header(header)
    # One object for each distinct value: labels and slices repeat.
    seen: dict[str, str] = {}
    table = [[seen.setdefault(value, value) for value in row] for row in rows]
    turned: Sequence[Sequence[str]] = list(zip(*table, strict=True)) if table else [()] * len(header)
    return dict(zip(header, turned, strict=True))


def check_header(header: Sequence[str]) -> None:
    """Refuse columns that are none of a table of predictions; raises PredictionsError."""
    if len(header) > MAX_COLUMNS:
        raise PredictionsError(f"has {len(header)} columns, at most {MAX_COLUMNS}: {WANTED}")
    if twice := next((name for name in header if list(header).count(name) > 1), None):
        raise PredictionsError(f"has the column {twice!r} twice: give each a name of its own")
    for wanted in (ID, LABEL):
        if wanted not in header:
            near = nearest.hint(wanted, header)
            raise PredictionsError(f"has no column {wanted!r}, but {', '.join(header)}{near}: write {WANTED}")
    if PREDICTION not in header and SCORE not in header:
        near = nearest.hint(PREDICTION, header)
        raise PredictionsError(
            f"has neither prediction nor score, but {', '.join(header)}{near}: write {WANTED}"
        )


def build(columns: Mapping[str, Sequence[str]], sha256: str, first_line: int = 2) -> Predictions:
    """Check the columns of a file, by their names; raises PredictionsError."""
    ids, labels = columns[ID], columns[LABEL]
    if not ids:
        raise PredictionsError("has no rows: write one for each row of the hold-out")
    _check_values(columns, first_line)
    _check_ids(ids, first_line)
    scores = columns.get(SCORE)
    return Predictions(
        ids=ids,
        labels=labels,
        predicted=columns.get(PREDICTION),
        scores=None
        if scores is None
        else [_number(value, _place(row, first_line), SCORE) for row, value in enumerate(scores)],
        columns={name: values for name, values in columns.items() if name not in OWN},
        sha256=sha256,
        first_line=first_line,
    )


def _check_values(columns: Mapping[str, Sequence[str]], first_line: int) -> None:
    for name in (ID, LABEL, PREDICTION):
        if "" in (values := columns.get(name, ())):
            place = _place(list(values).index(""), first_line)
            raise PredictionsError(f"has no {name} in {place}: write one in each row")
    for name, values in columns.items():
        _first(values, lambda value: len(value) > _VALUE_MAX, name, first_line)


def _first(values: Sequence[str], is_bad: Callable[[str], bool], name: str, first_line: int) -> None:
    for row, value in enumerate(values):
        if is_bad(value):
            raise PredictionsError(
                f"has {len(value)} characters in {_place(row, first_line)}, column {name!r}: leave out texts"
            )


def _check_ids(ids: Sequence[str], first_line: int) -> None:
    if len(set(ids)) == len(ids):
        return
    seen: dict[str, int] = {}
    for row, name in enumerate(ids):
        if name in seen:
            raise PredictionsError(
                f"has the id {name!a} in {_place(seen[name], first_line)} and {_place(row, first_line)}: "
                "an id names one row of the hold-out"
            )
        seen[name] = row


def _place(row: int, first_line: int) -> str:
    return f"{'line' if first_line > 1 else 'row'} {row + first_line}"


def _number(value: str, place: str, column: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    # Squares of numbers up to the greatest are finite, too.
    if not abs(number) <= _NUMBER_MAX:
        shown = repr(value[:40]) if value else "nothing"
        raise PredictionsError(f"has {shown} in {place}, column {column!r}: write a finite number")
    return number


def pair(candidate: Predictions, champion: Predictions) -> Predictions:
    """Return the champion's rows in the candidate's order; raises PredictionsError unless all ids pair."""
    at = {name: row for row, name in enumerate(champion.ids)}
    missing = [name for name in candidate.ids if name not in at]
    if missing or len(at) > len(candidate.ids):
        others = set(at) - set(candidate.ids)
        parts = [
            f"{len(names)} only {whose} ({_listed(names)})"
            for names, whose in ((missing, "the candidate's"), (sorted(others), "the champion's"))
            if names
        ]
        raise PredictionsError(
            f"do not pair by id: {' and '.join(parts)}; evaluate.script must name a row of the hold-out "
            "alike for each model, whatever the model and the order"
        )
    order = [at[name] for name in candidate.ids]
    paired = champion.rows(order)
    for name, label, other in zip(candidate.ids, candidate.labels, paired.labels, strict=True):
        if label != other and class_name(label) != class_name(other):
            raise PredictionsError(
                f"do not pair by id: the id {name!a} has the label {label!a} of the candidate's hold-out "
                f"and {other!a} of the champion's"
            )
    return paired


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(ascii, names[:_SHOWN])) + more
