"""Keep what a window predicted, and join labels to it whenever they come."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sluice.domain import canonical
from sluice.domain.monitor.capture import Predicted
from sluice.domain.predictions.table import Predictions, class_name

_DIGEST_BYTES = 8


def write(rows: Iterable[Predicted], columns: Collection[str]) -> bytes:
    """Write predictions as JSON lines, of each request only the columns that are judged by."""
    lines = (
        {
            "id": each.id,
            "at": each.at,
            "prediction": each.prediction,
            "score": each.score,
            "columns": {name: _text(each.row.get(name)) for name in columns},
        }
        for each in rows
    )
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def read(data: bytes) -> Iterator[dict[str, Any]]:
    """Read what `write` wrote."""
    yield from (json.loads(line) for line in data.splitlines())


def index(ids: Iterable[str]) -> bytes:
    """Write digests of ids, sorted: to look for labels' predictions without reading these."""
    return b"".join(sorted(map(_digest, ids)))


def found_in(indexed: bytes, ids: Iterable[str]) -> list[str]:
    """Return the ids that an index has."""
    there = {indexed[at : at + _DIGEST_BYTES] for at in range(0, len(indexed), _DIGEST_BYTES)}
    return [each for each in ids if _digest(each) in there]


def _digest(identity: str) -> bytes:
    return hashlib.blake2b(identity.encode(), digest_size=_DIGEST_BYTES).digest()


def merged(uploads: Iterable[tuple[str, Mapping[str, str]]]) -> dict[str, str]:
    """Join labels of several uploads, each with its time: the latest label of a row counts."""
    labels: dict[str, str] = {}
    for _, given in sorted(uploads, key=lambda upload: upload[0]):
        labels |= given
    return labels


def state(labels: Mapping[str, str]) -> str:
    """Return a digest of labels: a window is judged once for each."""
    return hashlib.sha256(canonical.to_json(dict(labels))).hexdigest()


def labelled(
    rows: Iterable[Mapping[str, Any]], labels: Mapping[str, str], *, is_number: bool
) -> Predictions | None:
    """Return the predictions that have a label; None if there are none."""
    known = [row for row in rows if row["id"] in labels]
    return _table(known, [labels[row["id"]] for row in known], is_number=is_number) if known else None


def unlabelled(rows: Sequence[Mapping[str, Any]], *, is_number: bool) -> Predictions | None:
    """Return all predictions, for what needs no label: each stands in its label's place."""
    return _table(rows, [row["prediction"] or "" for row in rows], is_number=is_number) if rows else None


def _table(rows: Sequence[Mapping[str, Any]], labels: Sequence[str], *, is_number: bool) -> Predictions:
    has_predictions = all(row["prediction"] is not None for row in rows)
    has_scores = all(row["score"] is not None for row in rows)
    names = rows[0]["columns"]
    return Predictions(
        ids=[row["id"] for row in rows],
        labels=list(labels) if is_number else [class_name(label) for label in labels],
        predicted=[row["prediction"] for row in rows] if has_predictions else None,
        scores=[row["score"] for row in rows] if has_scores else None,
        columns={name: [row["columns"][name] for row in rows] for name in names},
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
