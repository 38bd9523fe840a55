"""Requests and predictions are judged by what the data and the project say of them."""

from __future__ import annotations

import pytest

from sluice.domain.config import PipelineConfig
from sluice.domain.config.monitor import Monitor, Volume
from sluice.domain.monitor import contracts


@pytest.mark.parametrize(
    ("is_number", "prediction", "score", "types"),
    [
        (False, True, False, {"prediction": "string"}),
        (True, True, False, {"prediction": "number"}),
        (False, False, True, {"score": "number"}),
        (False, True, True, {"prediction": "string", "score": "number"}),
    ],
)
def test_predictions_have_a_value_a_score_or_both(
    pipeline_config: PipelineConfig, is_number: bool, prediction: bool, score: bool, types: dict[str, str]
) -> None:
    has = {contracts.PREDICTION: prediction, contracts.SCORE: score}
    found = contracts.of_predictions(pipeline_config.data, Monitor(), is_number=is_number, has=has)
    assert {name: column.type for name, column in found.columns.items()} == types
    assert (found.format, found.quality, found.bias) == ("jsonl", (), None)


@pytest.mark.parametrize(
    ("rows", "limits", "faults"),
    [
        (0, None, []),
        (4, Volume(min=5), ["4 predictions, and at least 5 are expected"]),
        (5, Volume(min=5), []),
        (9, Volume(max=9), []),
        (10, Volume(min=5, max=9), ["10 predictions, and at most 9 are expected"]),
    ],
)
def test_a_window_has_as_many_predictions_as_are_expected(
    rows: int, limits: Volume | None, faults: list[str]
) -> None:
    assert contracts.volume_faults(rows, limits) == faults


@pytest.mark.parametrize(("lost", "is_told"), [(0, False), (5, False), (6, True)])
def test_records_that_cannot_be_read_are_a_fault_if_they_are_many(lost: int, is_told: bool) -> None:
    found = contracts.unreadable_faults(100, {"it is no JSON": lost} if lost else {})
    assert found == ([f"{lost} of 100 records: it is no JSON"] if is_told else [])
