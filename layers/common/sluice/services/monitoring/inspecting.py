"""Judge the requests and predictions of a window by the engine that judges data."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluice.domain.monitor import contracts
from sluice.domain.monitor.capture import Predicted
from sluice.domain.monitor.contracts import PREDICTION, SCORE
from sluice.domain.predictions.table import class_name
from sluice.lazy import dataclass
from sluice.quality import run
from sluice.quality.judging import Baseline, Terms
from sluice.quality.run import Limits, Outcome, Work
from sluice.quality.statistics.profiles import PROFILE, Profile, ProfileFormatError
from sluice.quality.validation import DataFile
from sluice.services.monitoring.watched import Watched

if TYPE_CHECKING:
    from sluice.domain.config.models import Data
    from sluice.domain.predictions.table import Predictions

HOLD_OUT, FIRST_WINDOW = "hold-out data", "first window"
MakeLimits = Callable[[Path], Limits]


@dataclass(frozen=True, slots=True)
class Inspected:
    """What the engine found in a window, and what it was compared with."""

    requests: Outcome
    predictions: Outcome | None
    predictions_baseline: str | None
    # Profiles that later windows are compared with.
    kept: Mapping[str, bytes] = field(default_factory=dict)


def inspect(watched: Watched, rows: Sequence[Predicted], title: str, limits: MakeLimits) -> Inspected:
    """Judge rows against the training data, and predictions against those on the hold-out data."""
    now = watched.cloud.now()
    types = watched.shape.types
    contract = contracts.of_requests(watched.config.data, list(types), watched.monitor)
    baseline = Baseline(None, (watched.dataset_version or "")[:12], watched.training_profile)
    lines = [each.row for each in rows]
    requests = judge(lines, contract, baseline, f"{title}: requests", limits, now)
    predicted = [{PREDICTION: each.prediction, SCORE: each.score} for each in rows]
    has = {name: any(each[name] is not None for each in predicted) for name in (PREDICTION, SCORE)}
    if not any(has.values()):
        return Inspected(requests, None, None)
    whose, profile, kept = _predictions_baseline(watched, limits, now)
    contract = contracts.of_predictions(
        watched.config.data, watched.monitor, is_number=watched.shape.is_number, has=has
    )
    compared = Baseline(None, whose, profile)
    found = judge(predicted, contract, compared, f"{title}: predictions", limits, now)
    if profile is None and PROFILE in found.documents and len(rows) >= watched.monitor.min_rows:
        kept = {baseline_name(watched): _said(FIRST_WINDOW, found.documents[PROFILE])}
    return Inspected(requests, found, whose or None, kept)


def judge(
    rows: Sequence[Mapping[str, Any]],
    data: Data,
    baseline: Baseline,
    title: str,
    limits: MakeLimits,
    now: str,
) -> Outcome:
    """Judge rows as JSON lines."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.jsonl")
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        at = datetime.fromisoformat(now)
        files = [DataFile("captured", path)]
        work = Work(files, Terms(data, baseline, at), limits(Path(folder)))
        return run.validate(work, title=title)


def baseline_name(watched: Watched) -> str:
    """Name the profile of predictions that a release's windows are compared with."""
    return f"baselines/{watched.live.release_id}.json"


def _predictions_baseline(
    watched: Watched, limits: MakeLimits, now: str
) -> tuple[str, Profile | None, dict[str, bytes]]:
    """Return whose predictions to compare with, their profile, and it to be kept if it is new."""
    name = baseline_name(watched)
    try:
        stored = json.loads(
            watched.cloud.objects.read(watched.locations.monitoring(watched.stage, *_split(name)))
        )
        return stored["of"], Profile.from_json(json.dumps(stored["profile"]).encode()), {}
    except (FileNotFoundError, ProfileFormatError):
        pass
    hold_out = watched.hold_out
    if hold_out is None:
        return "", None, {}
    found = _profile_of(watched, hold_out, limits, now)
    if found is None:
        return "", None, {}
    return HOLD_OUT, Profile.from_json(found), {name: _said(HOLD_OUT, found)}


def _split(name: str) -> tuple[str, str]:
    folder, _, file = name.partition("/")
    return folder, file


def _said(whose: str, profile: bytes) -> bytes:
    return json.dumps({"of": whose, "profile": json.loads(profile)}).encode()


def _profile_of(watched: Watched, hold_out: Predictions, limits: MakeLimits, now: str) -> bytes | None:
    is_number = watched.shape.is_number
    none: list[None] = [None] * len(hold_out)
    predicted: Sequence[str | None] = hold_out.predicted or none
    scores: Sequence[float | None] = hold_out.scores or none
    rows = [
        {PREDICTION: _value(value, is_number=is_number), SCORE: score}
        for value, score in zip(predicted, scores, strict=True)
    ]
    has = {PREDICTION: hold_out.predicted is not None, SCORE: hold_out.scores is not None}
    contract = contracts.of_predictions(watched.config.data, watched.monitor, is_number=is_number, has=has)
    outcome = judge(rows, contract, Baseline(), "hold-out", limits, now)
    return outcome.documents.get(PROFILE)


def _value(value: str | None, *, is_number: bool) -> Any:
    if value is None:
        return None
    return float(value) if is_number else class_name(value)
