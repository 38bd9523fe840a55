"""Whatever a script writes as evaluation.json has a defined fate."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain import canonical
from sluice.domain.build import evaluations, gates
from sluice.domain.build.evaluations import EvaluationError

HUGE = "1" + "0" * 400
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("number", "named"),
    [
        ("NaN", "NaN"),
        ("-Infinity", "infinite"),
        (HUGE, "infinite"),
        (f"-{HUGE}0", "infinite"),
        ("2" + "0" * 308, "infinite"),
        ("1e999", "inf"),
    ],
)
def test_a_number_that_is_not_finite_fails_the_gate_that_reads_it_and_is_recorded_as_null(
    number: str, named: str
) -> None:
    found = evaluations.read(
        f'{{"metrics": {{"auc": {{"value": {number}}}, "f1": {{"value": 1}}}}}}'.encode()
    )
    verdict = gates.judge(["metrics.auc.value >= 0.5"], found.document, None)
    assert not verdict.passed
    assert named in verdict.reasons[0]
    assert gates.judge(["metrics.f1.value >= 0.5"], found.document, None).passed
    assert found.finite == {"metrics": {"auc": {"value": None}, "f1": {"value": 1}}}
    assert found.remark == "no finite numbers, recorded as null: metrics.auc.value"
    assert gates.metric_values(found.document) == {"f1": 1}


def test_a_curve_may_begin_at_infinity() -> None:
    """The first threshold of scikit-learn's ROC curve."""
    found = evaluations.read(b'{"roc": {"thresholds": [Infinity, 0.5, 0.1]}}')
    assert found.finite == {"roc": {"thresholds": [None, 0.5, 0.1]}}
    assert found.remark == "no finite numbers, recorded as null: roc.thresholds.0"


def test_finite_numbers_are_nothing_to_remark() -> None:
    assert evaluations.read(b'{"a": [1, 1e308, "NaN", null]}').remark is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is no JSON"),
        (b"not json", "is no JSON"),
        (b"[1]", "is no JSON object"),
        (b"3", "is no JSON object"),
        (b"\xff\xfe{\x00}\x00", "is no UTF-8 text: byte 0"),
        (b'{"a": "\xe4"}', "is no UTF-8 text: byte 7"),
        (b'{"metrics": {"f1": 1, "f1": 2}}', "gives 'f1' twice"),
        (b'{"a": "\\ud800"}', "no Unicode, at 'a'"),
        (b'{"\\udfff": 1}', "no Unicode"),
        (b"[" * 100_000, "nested more than 32 levels deep"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested more than 32 levels deep"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "nested more than 32 levels deep"),
        (b" " * (evaluations.MAX_BYTES + 1), "at most 5242880"),
        (b'{"a": 1' + b"0" * 5000 + b"", "is no JSON"),
    ],
)
def test_what_is_no_evaluation_is_refused_in_a_sentence(data: bytes, said: str) -> None:
    with pytest.raises(EvaluationError, match=said):
        evaluations.read(data)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_any_json_object_can_be_recorded_or_is_refused(document: dict[str, object]) -> None:
    try:
        found = evaluations.read(json.dumps(document).encode())
    except EvaluationError:
        return
    canonical.to_json(found.finite)
    assert all(math.isfinite(value) for value in gates.metric_values(found.document).values())


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        evaluations.read(data)
    except EvaluationError:
        return


def test_of_very_many_metrics_the_first_are_shown() -> None:
    metrics = {f"m{index}": {"value": index} for index in range(5000)}
    assert len(gates.metric_values({"metrics": metrics})) == 100
