"""monitor: what it names exists, and what it asks for can be judged."""

from __future__ import annotations

from datetime import timedelta
from typing import get_args

import pytest

from sluice.domain import config
from sluice.domain.config import ConfigError
from sluice.domain.config.monitor import MetricName, span
from sluice.domain.config.prediction_metrics import METRICS

BIASED = "bias: {facets: [id], favorable_labels: [great]}"


def problems(text: str, monitor: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config.load(f"{text}monitor: {{{monitor}}}\n")
    return [reason.partition(": ")[2] for reason in caught.value.reasons]


def test_nothing_is_watched_unless_it_is_asked_for(config_text: str) -> None:
    assert config.load(config_text).monitor is None


def test_monitoring_has_defaults_for_all_it_does(config_text: str) -> None:
    loaded = config.load(config_text + "monitor: {}\n")
    monitor = loaded.monitor
    assert monitor is not None
    assert (monitor.capture_percent, monitor.every_s, monitor.retrain_on) == (100, 3600, ())
    assert (monitor.drift.method, monitor.drift.max, monitor.quality.metric) == ("psi", 0.2, "accuracy")
    assert config.restore(config.dump(loaded)) == loaded


def test_the_metrics_are_those_of_predictions() -> None:
    assert get_args(MetricName) == tuple(METRICS)


def test_a_duration_names_seconds_minutes_hours_or_days() -> None:
    found = [span(text) for text in ("45s", "30m", "12h", "7d", "0s")]
    assert found == [
        timedelta(seconds=45),
        timedelta(minutes=30),
        timedelta(hours=12),
        timedelta(days=7),
        timedelta(),
    ]


@pytest.mark.parametrize(
    ("monitor", "problem"),
    [
        ("quality: {metric: acuracy}", "monitor.quality.metric"),
        ("quality: {slices: [cod]}", "monitor.quality.slices[0] is 'cod'"),
        ("quality: {slices: [sentiment]}", "monitor.quality.slices[0] is 'sentiment'"),
        ("request: {columns: [reviw]}", "monitor.request.columns[0] is 'reviw'"),
        ("request: {columns: [review]}, drift: {columns: [code]}", "monitor.drift.columns[0] is 'code'"),
        ("label_delay: 1 week", "monitor.label_delay"),
        ("label_delay: 200d", "monitor.label_delay is '200d'"),
        ("quality: {window: 0s}", "monitor.quality.window is '0s'"),
        ("retrain_on: [schedule]", "monitor.retrain_on has no interval"),
        ("retrain_every: 30d", "monitor.retrain_every is given without schedule"),
        ("retrain_on: [drfit]", "monitor.retrain_on[0]"),
        ("bias: {DPPL: 0.1}", "monitor.bias has no facets"),
        ("volume: {min: 5, max: 4}", "monitor.volume.min is 5"),
        ("capture_percent: 0", "monitor.capture_percent"),
    ],
)
def test_what_cannot_be_judged_is_refused_with_its_place(
    config_text: str, monitor: str, problem: str
) -> None:
    assert [each for each in problems(config_text, monitor) if each.startswith(problem)]


def test_a_facet_that_requests_have_is_watched(config_text: str) -> None:
    text = config_text.replace(
        "  quality:\n", "  bias: {facets: [code], favorable_labels: [great]}\n  quality:\n"
    )
    loaded = config.load(f"{text}monitor: {{bias: {{DPPL: 0.1}}}}\n").monitor
    assert loaded is not None
    assert loaded.bias == {"DPPL": 0.1}


def test_a_facet_of_predictions_is_a_column_of_a_request(config_text: str) -> None:
    text = config_text.replace("  quality:\n", f"  {BIASED}\n  quality:\n")
    (problem,) = problems(text, "request: {columns: [review]}, bias: {DPPL: 0.1}")
    assert problem.startswith("monitor.bias needs 'id', which no request has")


def test_a_pipeline_is_not_called_like_the_folder_of_labels(config_text: str) -> None:
    with pytest.raises(ConfigError, match="labels are uploaded below this one"):
        config.load(config_text.replace("name: reviews-sentiment", "name: ground-truth"))
