"""Shadows: which version may serve, by what it answered beside what serves."""

from __future__ import annotations

import json
from typing import Any

import pytest

import smallest
from sluice.domain import config
from sluice.domain.config import models
from sluice.domain.monitor.capture import Asked, Shape, asked
from sluice.domain.release import shadows
from sluice.domain.release.releases import LOOKS_MAX, ShadowPlan
from sluice.domain.release.shadows import Compared, Comparison, Measured

LIMITS = models.Shadow(percent=50, min_requests=10)
RELEASE = models.Release(alarms=models.Alarms(error_rate=0.05))
GOOD = Measured(requests=20, errors=0, latencies_us=(10_000.0,))
ALIKE = Compared(rows=20, agreeing=20)


def pipeline(label: str, metric: str) -> str:
    quality = f"monitor: {{quality: {{metric: {metric}, max_loss: 0.1}}}}\n"
    return smallest.pipeline(f"{{y: {{type: {label}}}, x: {{type: number}}}}", more=quality)


def faults(live: Measured = GOOD, shadow: Measured = GOOD, answers: Compared = ALIKE) -> list[str]:
    return shadows.faults(Comparison(live, shadow, answers), LIMITS, RELEASE)


def test_a_version_that_does_as_what_serves_may_serve() -> None:
    assert faults() == []


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ({"shadow": Measured(9, 0, (1.0,))}, "it got 9 requests in 600 s, and 10 are needed"),
        ({"shadow": Measured(20, 2, (10_000.0,))}, "it failed on 10.00% of 20 mirrored requests"),
        ({"shadow": Measured(20, 0, (15_001.0,))}, "it took 15.0 ms where what serves took 10.0 ms"),
        ({"shadow": Measured(20, 0)}, "no latency"),
        ({"answers": Compared(20, 17)}, "it made 85.0% of 20 predictions as what serves did: 90.0%"),
        ({"answers": Compared(9, 9)}, "it made 9 predictions that could be compared"),
    ],
)
def test_a_version_that_does_worse_or_proves_too_little_is_refused(found: Any, reason: str) -> None:
    (fault,) = faults(**found)
    assert reason in fault


def test_the_errors_of_what_serves_are_not_held_against_the_shadow() -> None:
    failing = Measured(20, 4, (10_000.0,))
    assert faults(live=failing, shadow=failing) == []


def test_limits_themselves_are_kept() -> None:
    assert faults(shadow=Measured(20, 1, (15_000.0,)), answers=Compared(20, 18)) == []


def test_a_version_that_fails_is_not_watched_to_the_end() -> None:
    failing = Comparison(GOOD, Measured(20, 20))
    assert shadows.failing(failing, LIMITS, RELEASE)
    assert shadows.failing(Comparison(GOOD, Measured(9, 9)), LIMITS, RELEASE) == []


def test_one_slow_minute_decides_nothing() -> None:
    assert Measured(3, 0, (1_000.0, 900_000.0, 2_000.0)).latency_ms == 2


def test_errors_are_those_that_count_as_such() -> None:
    assert set(shadows.questions(["5XX"])) == {"requests", "latency", "errors5XX"}
    both = shadows.questions(["4XX", "5XX"])
    values = {name: [2.0, 1.0] for name in both}
    assert shadows.measured(values) == Measured(3, 6, (2.0, 1.0))


def record(question: str, answer: Any, identity: str) -> str:
    sides = {
        "endpointInput": {"data": question, "encoding": "JSON", "mode": "INPUT"},
        "endpointOutput": {"data": json.dumps(answer), "encoding": "JSON", "mode": "OUTPUT"},
    }
    about = {"eventId": identity, "inferenceTime": "2026-11-29T10:00:00Z"}
    return json.dumps({"captureData": sides, "eventMetadata": about, "eventVersion": "0"})


def read(label: str, metric: str, *pairs: tuple[Any, Any], of: str) -> list[Asked]:
    text = pipeline(label, metric)
    shape = Shape.of(config.load(text))
    lines = [record(json.dumps([{"x": x}]), [answer], f"{of}-{x}") for x, answer in pairs]
    return [found for line in lines if (found := asked(line, shape, ignored="ignored"))]


@pytest.mark.parametrize(
    ("label", "metric", "serving", "shadow", "agree"),
    [
        ("string", "accuracy", "good", "good", True),
        ("string", "accuracy", "good", "bad", False),
        ("integer", "accuracy", 100, 101, False),  # classes are no numbers
        ("number", "rmse", 100.0, 101.0, True),
        ("number", "rmse", 100.0, 110.0, False),
        ("number", "rmse", "none", 100.0, False),
        ("integer", "auc", 0.80, 0.81, True),
        ("integer", "auc", 0.80, 0.60, False),
    ],
)
def test_predictions_agree_as_their_kind_does(
    label: str, metric: str, serving: Any, shadow: Any, agree: bool
) -> None:
    live = read(label, metric, (1.0, serving), of="live")
    ours = read(label, metric, (1.0, shadow), of="shadow")
    found = shadows.compare(live, ours, 0.05, is_number=metric == "rmse")
    assert found == Compared(1, int(agree))


def test_answers_are_paired_by_what_was_asked_and_not_by_their_ids() -> None:
    live = read("string", "accuracy", (1.0, "good"), (2.0, "bad"), of="live")
    ours = read("string", "accuracy", (2.0, "bad"), (3.0, "good"), (1.0, "good"), (1.0, "good"), of="shadow")
    assert shadows.compare(live, ours, 0.05, is_number=False) == Compared(3, 3)


def test_the_request_that_tests_a_release_is_not_compared() -> None:
    shape = Shape.of(config.load(pipeline("string", "accuracy")))
    assert asked(record("[]", [], "sluice--smoke-test"), shape, ignored="sluice--smoke-test") is None


@pytest.mark.parametrize(("bake_s", "every_s"), [(60, 15), (600, 60), (3600, 180)])
def test_a_shadow_is_looked_at_each_minute_but_not_too_often(bake_s: int, every_s: int) -> None:
    plan = ShadowPlan.of(models.Shadow(percent=10, bake_s=bake_s), "config")
    assert plan.every_s == every_s
    assert bake_s / plan.every_s <= LOOKS_MAX


def test_what_is_recorded_says_how_it_did() -> None:
    found = Comparison(GOOD, Measured(20, 1, (12_345.0,)), Compared(20, 19)).item()
    assert shadows.said({"percent": 50, **found}) == (
        "20 requests mirrored, 95.0% of 20 predictions agree, errors 5.00% (serving 0.00%), "
        "12.3 ms (serving 10.0 ms)"
    )
    begun = {"percent": 50, "until": "2026-11-29T10:00:00Z"}
    assert "50 % of the requests are mirrored until 2026-11-29T10:00:00Z" in shadows.said(begun)
