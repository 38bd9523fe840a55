"""Judge a shadow: what a new version answered, how fast and how often not, beside what serves."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sluice.domain import wording
from sluice.domain.release import alarms
from sluice.lazy import dataclass

if TYPE_CHECKING:
    from sluice.domain.config import models
    from sluice.domain.monitor.capture import Asked, Predicted

REQUESTS, LATENCY = "Invocations", "ModelLatency"
# The part of a minute's requests that are faster than the latency which is compared.
_QUANTILE = "p90"


@dataclass(frozen=True, slots=True)
class Measured:
    """What CloudWatch counted of a variant; `latencies_us` are the p90 of each minute."""

    requests: int = 0
    errors: int = 0
    latencies_us: Sequence[float] = ()

    @property
    def error_rate(self) -> float:
        return self.errors / self.requests if self.requests else 0.0

    @property
    def latency_ms(self) -> float | None:
        """The median of the minutes, so that a minute in which servers warm up decides nothing."""
        return statistics.median(self.latencies_us) / 1000 if self.latencies_us else None


@dataclass(frozen=True, slots=True)
class Compared:
    """How many rows of mirrored requests were answered by both, and how many of these alike."""

    rows: int = 0
    agreeing: int = 0

    @property
    def agreement(self) -> float | None:
        return self.agreeing / self.rows if self.rows else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What serves and its shadow, side by side."""

    live: Measured
    shadow: Measured
    answers: Compared = Compared()

    def item(self) -> dict[str, Any]:
        """Return what is recorded and shown."""
        return {
            "requests": self.shadow.requests,
            "compared": self.answers.rows,
            "agreement": _rounded(self.answers.agreement),
            "error_rate": _rounded(self.shadow.error_rate),
            "live_error_rate": _rounded(self.live.error_rate),
            "latency_ms": _rounded(self.shadow.latency_ms),
            "live_latency_ms": _rounded(self.live.latency_ms),
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def counted(endpoint: str, variant: str, metric: str, stat: str) -> dict[str, Any]:
    """Return what is asked of CloudWatch about a variant, in the form of an alarm on it."""
    return {"Metrics": [{**alarms.metric("counted", metric, stat, endpoint, variant), "ReturnData": True}]}


def questions(errors: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return the metrics and statistics that tell of a variant; `errors` are the answers that failed."""
    failures = {f"errors{kind}": (name, "Sum") for kind, name in alarms.FAILURES.items() if kind in errors}
    return {"requests": (REQUESTS, "Sum"), "latency": (LATENCY, _QUANTILE), **failures}


def measured(values: Mapping[str, Sequence[float]]) -> Measured:
    """Read the answers to `questions`, by minute."""
    failed = sum(sum(each) for name, each in values.items() if name.startswith("errors"))
    return Measured(round(sum(values["requests"])), round(failed), tuple(values["latency"]))


def compare(live: Iterable[Asked], shadow: Iterable[Asked], tolerance: float, *, is_number: bool) -> Compared:
    """Compare the answers to the same questions: ids need not be the same of both variants.

    `is_number` tells that numbers are predicted, which may differ by the tolerance, and no classes.
    """
    known = {each.question: each.rows for each in live}
    rows = agreeing = 0
    for each in shadow:
        theirs = known.get(each.question)
        if theirs is None or len(theirs) != len(each.rows):
            continue
        rows += len(each.rows)
        pairs = zip(each.rows, theirs, strict=True)
        agreeing += sum(_agree(ours, their, tolerance, is_number=is_number) for ours, their in pairs)
    return Compared(rows, agreeing)


def _agree(ours: Predicted, theirs: Predicted, tolerance: float, *, is_number: bool) -> bool:
    """Tell whether two predictions say the same; scores count only where nothing else is predicted."""
    if ours.prediction is None and theirs.prediction is None:
        return _near(ours.score, theirs.score, tolerance)
    if ours.prediction == theirs.prediction:
        return True
    return is_number and _near(_number(ours.prediction), _number(theirs.prediction), tolerance)


def _number(prediction: str | None) -> float | None:
    try:
        return None if prediction is None else float(prediction)
    except ValueError:
        return None


def _near(ours: float | None, theirs: float | None, tolerance: float) -> bool:
    return ours is not None and theirs is not None and math.isclose(ours, theirs, rel_tol=tolerance)


def failing(found: Comparison, limits: models.Shadow, release: models.Release) -> list[str]:
    """Say whether the shadow fails more than what serves, which one need not wait to know."""
    allowed = release.alarms.error_rate
    if found.shadow.requests < limits.min_requests:
        return []
    if found.shadow.error_rate - found.live.error_rate <= allowed:
        return []
    return [
        f"it failed on {found.shadow.error_rate:.2%} of {found.shadow.requests} mirrored requests, and what "
        f"serves on {found.live.error_rate:.2%}: {allowed:.2%} more is the limit (release.alarms.error_rate)"
    ]


def faults(found: Comparison, limits: models.Shadow, release: models.Release) -> list[str]:
    """Say, once all was mirrored, why the version must not serve; too few requests prove nothing."""
    if found.shadow.requests < limits.min_requests:
        return [
            f"it got {wording.count(found.shadow.requests, 'request')} in {limits.bake_s} s, and "
            f"{wording.number(limits.min_requests)} are needed to compare (shadow.min_requests)"
        ]
    reasons = failing(found, limits, release)
    if reasons:
        return reasons
    return [*_slowness(found, limits), *_disagreement(found, limits)]


def _slowness(found: Comparison, limits: models.Shadow) -> list[str]:
    ours, theirs = found.shadow.latency_ms, found.live.latency_ms
    if ours is None or theirs is None:
        return ["it has no latency in CloudWatch to compare"]
    if ours <= theirs * limits.max_latency_ratio:
        return []
    return [
        f"it took {ours:.1f} ms where what serves took {theirs:.1f} ms (p90 of a minute): "
        f"{limits.max_latency_ratio:g} times as long is the limit (shadow.max_latency_ratio)"
    ]


def _disagreement(found: Comparison, limits: models.Shadow) -> list[str]:
    answers = found.answers
    if answers.rows < limits.min_requests:
        return [
            f"it made {answers.rows} predictions that could be compared, and {limits.min_requests} are "
            "needed (shadow.min_requests)"
        ]
    if (answers.agreement or 0) >= limits.min_agreement:
        return []
    return [
        f"it made {answers.agreement:.1%} of {answers.rows} predictions as what serves did: "
        f"{limits.min_agreement:.1%} is the limit (shadow.min_agreement)"
    ]


def said(shadow: Mapping[str, Any]) -> str:
    """Say for people how a shadow does, or did."""
    if shadow.get("requests") is None:
        return f"{shadow['percent']} % of the requests are mirrored until {shadow['until']}"
    agree, compared = shadow.get("agreement"), wording.number(shadow.get("compared"))
    parts = [
        f"{wording.count(shadow['requests'], 'request')} mirrored",
        *([f"{agree:.1%} of {compared} predictions agree"] if agree is not None else []),
        f"errors {shadow['error_rate']:.2%} (serving {shadow['live_error_rate']:.2%})",
    ]
    if shadow.get("latency_ms") is not None and shadow.get("live_latency_ms") is not None:
        parts.append(f"{shadow['latency_ms']:.1f} ms (serving {shadow['live_latency_ms']:.1f} ms)")
    return ", ".join(parts)
