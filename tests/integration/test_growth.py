"""What functions and commands read does not depend on how much there was: each row of the benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sluice import wiring
from sluice.catalog import keys
from sluice.catalog.changes import Update

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SMALLER, LARGER = 2_000, 30_000


def judged(_: str, task: dict[str, Any]) -> dict[str, Any]:
    """Record what `validate_data` finds."""
    catalog = wiring.cloud().catalog
    pipeline, version = task["pipeline"], task["dataset_version"]
    catalog.apply(
        Update(keys.pipeline_key(pipeline), {"dataset_version": version}),
        Update(keys.dataset_key(pipeline, version), {"status": "valid"}),
    )
    return {"is_valid": True}


JUDGED = {"validate_data": judged}


@pytest.fixture(scope="module")
def measured() -> Any:
    """What each costs, by its name, of a short and of a long past: above what is listed whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        # The benchmark sets these for good.
        patch.setattr(wiring, "cloud", wiring.cloud)
        patch.setenv("POWERTOOLS_LOG_LEVEL", "CRITICAL")
        import growth

        # What is judged is read by the engine: tests/integration/engine/test_segment_parts.py counts that.
        patch.setattr(growth, "add_parts", lambda *_: None)
        invoke = growth.invoke
        patch.setattr(growth, "invoke", lambda name, event: JUDGED.get(name, invoke)(name, event))
        return growth.measure(SMALLER), growth.measure(LARGER)


def test_no_request_more_is_made_in_a_pipeline_with_a_longer_past(measured: Any) -> None:
    less, more = measured
    assert len(less) > 15
    assert {what: cost.requests for what, cost in more.items()} == {
        what: cost.requests for what, cost in less.items()
    }
    assert {what: cost.items for what, cost in more.items()} == {
        what: cost.items for what, cost in less.items()
    }


def test_of_a_data_set_as_much_is_read_as_a_segment_and_a_cut_of_its_list_take(measured: Any) -> None:
    """A segment has up to 10,000 objects of 160 bytes. A list of less than five megabytes is read whole."""
    segment, listed = 1_700_000, LARGER * 40
    _, more = measured
    for what, cost in more.items():
        parts = 2 * segment if what.startswith("select") else segment + 2 * listed
        assert cost.bytes < parts, what
