"""Captured traffic and its labels, as SageMaker and users write them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from typing import Any

from sluice.domain.predictions.table import Predictions


def record(
    request: Any,
    answer: Any,
    identity: str | None = None,
    *,
    event: str = "event",
    at: str = "2026-11-24T09:00:00Z",
    encoding: str = "JSON",
) -> str:
    """One captured line; bodies that are no text are written as JSON."""

    def side(body: Any, mode: str) -> dict[str, str]:
        kind = {"JSON": "application/json", "CSV": "text/csv"}.get(encoding, "application/json")
        data = body if isinstance(body, str) else json.dumps(body)
        return {"observedContentType": kind, "mode": mode, "data": data, "encoding": encoding}

    named = {"inferenceId": identity} if identity else {}
    return json.dumps(
        {
            "captureData": {
                "endpointInput": side(request, "INPUT"),
                "endpointOutput": side(answer, "OUTPUT"),
            },
            "eventMetadata": {"eventId": event, **named, "inferenceTime": at},
            "eventVersion": "0",
        }
    )


def truth(labels: Iterable[tuple[str, str]]) -> bytes:
    """Model Monitor's lines of ground truth."""
    return b"".join(
        json.dumps(
            {
                "groundTruthData": {"data": label, "encoding": "CSV"},
                "eventMetadata": {"eventId": identity},
                "eventVersion": "0",
            }
        ).encode()
        + b"\n"
        for identity, label in labels
    )


def drawn(
    rng: random.Random,
    rows: int,
    accuracy: float,
    slices: Sequence[str] = ("a", "b"),
    of_a: float | None = None,
) -> Predictions:
    """Predictions of two classes that are right so often, in slice `a` perhaps less often."""
    labels = [str(int(rng.random() < 0.4)) for _ in range(rows)]
    column = [rng.choice(slices) for _ in range(rows)]
    shares = [of_a if of_a is not None and name == "a" else accuracy for name in column]
    guesses = [
        label if rng.random() < share else str(1 - int(label))
        for label, share in zip(labels, shares, strict=True)
    ]
    return Predictions(list(map(str, range(rows))), labels, guesses, None, {"kind": column})
