"""What the product is for is measured once, where it is decided, however often its event comes."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import fakes
from build_world import PIPELINE, Invoke, World
from sluice.catalog.records.monitoring import Window
from sluice.domain.monitor import metrics
from sluice.services import metering

ROOT = Path(__file__).parents[3]
AT = "2026-11-24T12:00:00.000Z"


def measured(cloud: fakes.Cloud) -> Counter[str]:
    """How often each business metric was measured."""
    found: Counter[str] = Counter()
    for namespace, dimensions, values, _ in cloud.metrics.values:
        assert namespace == "Sluice"
        if dimensions.keys() == {"Stack", "Pipeline"}:
            assert dimensions == {"Stack": "sluice", "Pipeline": PIPELINE}
            found.update(values.keys())
    return found


def test_a_build_is_measured_from_its_upload_to_its_model(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = World.of_started_run(cloud, invoke)
    world.play()
    world.finish("registered")
    found = measured(cloud)
    once = {"Arrivals", "ArrivedBytes", "RowsChecked", "RowsRejected", "RunsRegistered", "RunSeconds"}
    assert {name: found[name] for name in once} == dict.fromkeys(once, 1)
    assert found[metering.UPLOAD_TO_REGISTERED_S] == 1
    assert set(found) <= metering.METRICS


def test_the_pages_say_what_metrics_cost(cloud: fakes.Cloud, invoke: Invoke) -> None:
    """CloudWatch bills a metric for an hour in which it gets a value: a month, of 730 of these, is $0.30."""
    world = World.of_started_run(cloud, invoke)
    world.play()
    of_run, hour = len(measured(cloud)), 0.30 / 730
    text = (ROOT / "docs/deploy.md").read_text()
    said = f"writes {of_run}, so a pipeline's hour with runs costs up to a third of a cent"
    assert f"{said} (${of_run * hour:.4f})" in text
    figures = {"drift": 0.1, "prediction_drift": 0.1, "drifted_columns": 1}
    window = Window(PIPELINE, "production", AT, AT, "r", 1, "ok", AT, AT, rows=9, figures=figures)
    of_window = len(metrics.of_window(window))
    text = (ROOT / "docs/monitoring.md").read_text()
    assert f"${of_window * 0.30:.2f} a month for {of_window} metrics" in text
    assert f"(`every_s: 86400`) ${of_window * 0.30 / 24:.2f}" in text


def test_a_run_that_ends_again_and_again_is_measured_once(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = World.of_started_run(cloud, invoke)
    for _ in range(3):
        world.finish("failed", error={"Error": "JobFailedError", "Cause": "no luck"})
    assert measured(cloud)["RunsFailed"] == 1
    assert measured(cloud)[metering.UPLOAD_TO_REGISTERED_S] == 0


def test_no_two_measurements_have_one_name() -> None:
    """They would add up to nonsense."""
    text = (ROOT / "layers/common/sluice/services/metering.py").read_text()
    for metric in metering.METRICS:
        assert len(re.findall(rf'"{metric}"', text)) == 1 + (metric == "RunsFailed"), metric
