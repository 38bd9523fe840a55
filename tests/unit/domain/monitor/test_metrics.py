"""What is measured becomes metrics and alarms; what cannot be told is neither good nor bad."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sluice.adapters.metrics import EmbeddedMetrics
from sluice.catalog.records.monitoring import LabelWindow, Window
from sluice.domain.monitor import alarms, metrics

WINDOW = Window("reviews", "production", "2026", "2027", "r1", 1, "ok", "2027", "2026", requests=2, rows=200)
LABELS = LabelWindow("reviews", "production", "2026", "2027", "2028", "r1", 1, rows=200, labelled=50)


def test_drift_is_said_only_where_it_could_be_told() -> None:
    assert metrics.of_window(WINDOW)["DriftFound"] == 0
    drifted = replace(
        WINDOW, status="violated", reasons={"predictions": ["score: psi"]}, figures={"drift": 0.3}
    )
    assert metrics.of_window(drifted) | {"DriftFound": 1, "Drift": 0.3} == metrics.of_window(drifted)
    broken = replace(WINDOW, status="violated", reasons={"volume": ["few"]})
    assert (metrics.of_window(broken)["DriftFound"], metrics.of_window(broken)["MonitoringViolated"]) == (
        0,
        1,
    )
    for status in ("no_data", "not_enough_data"):
        assert "DriftFound" not in metrics.of_window(replace(WINDOW, status=status))


def test_decay_is_said_only_where_there_is_a_verdict() -> None:
    few = metrics.of_labels(replace(LABELS, status="not_enough_labels"))
    assert few == {"Labels": 50, "LabelledShare": 0.25}
    assert metrics.of_labels(replace(LABELS, status="no_data", rows=0, labelled=0)) == {"Labels": 0}
    decayed = replace(LABELS, status="violated", measured=[{"value": 0.7, "loss": 0.2}])
    found = metrics.of_labels(decayed)
    assert (found["DecayFound"], found["Quality"], found["QualityLoss"]) == (1, 0.7, 0.2)


def test_metrics_are_a_line_that_cloudwatch_reads(capsys: pytest.CaptureFixture[str]) -> None:
    named = metrics.dimensions("sluice", "reviews", "production")
    EmbeddedMetrics().put("Sluice", named, {"Drift": 0.5}, "2026-11-24T09:00:00.000Z")
    line = json.loads(capsys.readouterr().out)
    assert line["_aws"]["Timestamp"] == 1795510800000
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive == {
        "Namespace": "Sluice",
        "Dimensions": [["Stack", "Pipeline", "Stage"]],
        "Metrics": [{"Name": "Drift"}],
    }
    assert (line["Stack"], line["Pipeline"], line["Stage"], line["Drift"]) == (*named.values(), 0.5)


def test_an_alarm_can_fire_and_keeps_its_state_between_windows() -> None:
    drift, decay = alarms.requests("sluice", "reviews", "production")
    assert (drift["AlarmName"], decay["AlarmName"]) == alarms.alarm_names("sluice", "reviews", "production")
    assert drift["AlarmName"] == "sluice--reviews--production--drift"
    for alarm, metric in ((drift, "DriftFound"), (decay, "DecayFound")):
        (query,) = alarm["Metrics"]
        assert query["MetricStat"]["Metric"]["MetricName"] == metric
        # The metric is 0 or 1.
        assert 0 <= alarm["Threshold"] < 1
        assert alarm["TreatMissingData"] == "ignore"
