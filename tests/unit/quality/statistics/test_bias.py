"""The eight pre-training metrics: Clarify's numbers on its own terms, the whole truth by default."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain import canonical
from sluice.domain.config.statistics import Bias, Facet
from sluice.quality.statistics.bias import FACETS_MAX, BiasMetric, BiasResult, LabelCount, measure

# Computed with aws/amazon-sagemaker-clarify @024329d from rows of numpy's default_rng(7).
GOLDEN = json.loads((Path(__file__).parent / "data" / "clarify_golden.json").read_text())
NAMES = ("CI", "DPL", "KL", "JS", "LP", "TVD", "KS")
IN_FACET = Facet(column="facet", values=(1,))


def measured(rows: Sequence[tuple[Any, ...]], config: Bias) -> BiasResult:
    """Rows are (facet, label) or (facet, label, group)."""
    counted = Counter((*row, None)[:3] for row in rows)
    counts = [LabelCount(facet, label, group, count) for (facet, label, group), count in counted.items()]
    return measure([counts], "label", config)


def values(result: BiasResult) -> dict[str, float | None]:
    (facet,) = result.facets
    return {metric.name: metric.value for metric in facet.metrics}


def a_and_d(labels_a: str, labels_d: str, **options: Any) -> dict[str, float | None]:
    rows = [(False, label) for label in labels_a] + [(True, label) for label in labels_d]
    return values(measured(rows, Bias(facets=(IN_FACET,), favorable_labels=("a",), **options)))


@pytest.mark.parametrize("compat", [None, "clarify"])
def test_all_eight_metrics_are_those_of_clarify(compat: Any) -> None:
    rows = [
        (facet == 1, label, group)
        for facet, label, group in zip(GOLDEN["facet"], GOLDEN["y"], GOLDEN["dept"], strict=True)
    ]
    config = Bias(facets=(IN_FACET,), favorable_labels=(1,), group="dept", compat=compat)
    assert values(measured(rows, config)) == pytest.approx(GOLDEN["expected"], rel=1e-12)


def test_labels_that_one_side_lacks_count_unless_clarifys_rule_is_asked_for() -> None:
    whole = a_and_d("aabbc", "abd")
    assert whole["TVD"] == pytest.approx(1 / 3)
    assert whole["KS"] == pytest.approx(1 / 3)
    assert whole["LP"] == pytest.approx(0.4, abs=1e-9)
    assert whole["JS"] == pytest.approx(0.1879, abs=5e-5)
    assert whole["KL"] == math.inf
    clarify = a_and_d("aabbc", "abd", compat="clarify")
    assert clarify["TVD"] == pytest.approx(0.0667, abs=5e-5)
    assert clarify["KS"] == pytest.approx(0.0667, abs=5e-5)
    assert clarify["LP"] == pytest.approx(0.0943, abs=5e-5)
    assert clarify["JS"] == pytest.approx(0.0030, abs=5e-5)


def test_disjoint_labels_are_the_greatest_bias_and_no_error() -> None:
    found = a_and_d("aaa", "bb")
    assert (found["TVD"], found["KS"], found["KL"]) == (1, 1, math.inf)
    assert found["JS"] == pytest.approx(math.log(2))


def test_by_clarifys_rule_disjoint_labels_have_no_value_and_say_why() -> None:
    rows = [(False, "a"), (True, "b")]
    config = Bias(facets=(IN_FACET,), favorable_labels=("a",), compat="clarify")
    (facet,) = measured(rows, config).facets
    metric = next(metric for metric in facet.metrics if metric.name == "TVD")
    assert metric.value is None
    assert metric.error == "no label is in both the facet and the others"


def test_an_infinite_value_is_spelled_in_json_that_anyone_can_read() -> None:
    rows = [(False, "a"), (True, "b")]
    config = Bias(facets=(IN_FACET,), favorable_labels=("a",), limits={"KL": 5})
    result = measured(rows, config)
    written = json.loads(canonical.to_json(result.to_dict()))
    metric = next(m for m in written["facets"][0]["metrics"] if m["name"] == "KL")
    assert metric == {"name": "KL", "value": "inf", "limit": 5, "error": None, "is_exceeded": True}
    assert result.reasons == ("facet = 1: KL is inf, farther from 0 than 5",)


@pytest.mark.parametrize(("value", "is_exceeded"), [(-0.31, True), (0.31, True), (0.3, False), (-0.3, False)])
def test_a_limit_is_a_distance_from_0_on_either_side(value: float, is_exceeded: bool) -> None:
    assert BiasMetric("DPL", value, 0.3).is_exceeded is is_exceeded


def test_a_limit_that_is_exceeded_is_named_with_its_facet() -> None:
    rows = [(False, "a")] * 9 + [(False, "b"), (True, "a")] + [(True, "b")] * 9
    config = Bias(facets=(IN_FACET,), favorable_labels=("a",), limits={"DPL": 0.5, "CI": 0.5})
    result = measured(rows, config)
    assert result.is_biased
    assert result.reasons == ("facet = 1: DPL is 0.8, farther from 0 than 0.5",)


def test_a_column_without_values_is_a_facet_for_each_of_its_values() -> None:
    rows = [("x", 1), ("x", 0), ("y", 1), ("z", 1), ("z", 1), ("z", 0)]
    facets = measured(rows, Bias(facets=("facet",), favorable_labels=(1,))).facets
    assert [(f.values, f.rows_d, f.rows_a) for f in facets] == [("= z", 3, 3), ("= x", 2, 4), ("= y", 1, 5)]
    assert facets[1].labels_d == {"0": 1, "1": 1}


def test_a_column_of_many_values_has_its_most_frequent_as_facets() -> None:
    rows = [(index, 1) for index in range(200)] + [(150, 0)] * 5
    facets = measured(rows, Bias(facets=("facet",), favorable_labels=(1,))).facets
    assert len(facets) == FACETS_MAX
    assert facets[0].values == "= 150"


def test_a_threshold_names_its_facet_and_its_favorable_outcome() -> None:
    config = Bias(facets=(Facet(column="age", threshold=40),), favorable_threshold=50000)
    result = measured([(True, False), (True, True), (False, True)], config)
    assert result.favorable == "> 50000"
    assert result.facets[0].values == "> 40"
    assert values(result)["DPL"] == 0.5


@pytest.mark.parametrize(
    ("in_d", "imbalance", "missing"), [(True, -1, "the others"), (False, 1, "the facet")]
)
def test_a_facet_of_all_rows_or_none_has_an_imbalance_and_no_other_metric(
    in_d: bool, imbalance: int, missing: str
) -> None:
    config = Bias(facets=(IN_FACET,), favorable_labels=("a",), limits={"DPL": 0.1, "CI": 0.9}, group="group")
    result = measured([(in_d, "a"), (in_d, "b")], config)
    metrics = {metric.name: metric for metric in result.facets[0].metrics}
    assert metrics.pop("CI").value == imbalance
    assert {(metric.value, metric.error) for metric in metrics.values()} == {
        (None, f"there is no label of {missing}")
    }
    assert result.reasons == (f"facet = 1: CI is {imbalance}, farther from 0 than 0.9",)


@pytest.mark.parametrize("facet", ["facet", IN_FACET])
def test_a_facet_without_any_row_says_so(facet: str | Facet) -> None:
    (found,) = measured([], Bias(facets=(facet,), favorable_labels=("a",))).facets
    assert {(metric.value, metric.error) for metric in found.metrics} == {
        (None, "there is no label of any row")
    }


def test_a_group_explains_what_looks_like_bias() -> None:
    """Simpson's paradox: within each group the facet's rows fare like the others."""
    easy = (
        [(True, 1, "easy")] * 16
        + [(True, 0, "easy")] * 4
        + [(False, 1, "easy")] * 64
        + [(False, 0, "easy")] * 16
    )
    hard = (
        [(True, 1, "hard")] * 16
        + [(True, 0, "hard")] * 64
        + [(False, 1, "hard")] * 4
        + [(False, 0, "hard")] * 16
    )
    found = values(measured(easy + hard, Bias(facets=(IN_FACET,), favorable_labels=(1,), group="group")))
    assert found["DPL"] == pytest.approx(0.36)
    assert found["CDDL"] == pytest.approx(0)


def test_rows_without_a_group_do_not_count_among_groups() -> None:
    config = Bias(facets=(IN_FACET,), favorable_labels=("a",), group="dept")
    rows = [(False, "a", "x"), (True, "b", "x"), (False, "b", "x"), (True, "a", "x")]
    whole = values(measured([*rows, (True, "b", "x")], config))
    assert whole["CDDL"] != 0
    assert values(measured([*rows, (True, "b", None)], config))["CDDL"] == 0
    (facet,) = measured([(False, "a", None), (True, "b", None)], config).facets
    assert {each.name: each.error for each in facet.metrics}["CDDL"] == "no row has a group"


def test_without_a_group_there_is_no_cddl() -> None:
    assert set(a_and_d("ab", "ab")) == set(NAMES)


labels = st.text(alphabet="abcd", min_size=1, max_size=30)


@given(labels, labels)
def test_metrics_are_in_their_ranges(labels_a: str, labels_d: str) -> None:
    found = {name: value for name, value in a_and_d(labels_a, labels_d).items() if value is not None}
    slack = 1e-12
    assert -1 <= found["CI"] <= 1
    assert -1 <= found["DPL"] <= 1
    assert found["KL"] >= -slack
    assert -slack <= found["JS"] <= math.log(2) + slack
    assert 0 <= found["LP"] <= math.sqrt(2) + slack
    assert 0 <= found["TVD"] <= 1 + slack
    assert found["KS"] <= found["TVD"] + slack


@given(labels, labels)
def test_swapping_the_sides_keeps_distances_and_turns_differences(labels_a: str, labels_d: str) -> None:
    found, swapped = a_and_d(labels_a, labels_d), a_and_d(labels_d, labels_a)
    for name in ("JS", "LP", "TVD", "KS"):
        assert found[name] == pytest.approx(swapped[name], abs=1e-12)
    for name in ("CI", "DPL"):
        assert found[name] == pytest.approx(-(swapped[name] or 0.0), abs=1e-12)


@given(labels, st.integers(1, 4))
def test_equal_shares_are_no_bias(labels_a: str, times: int) -> None:
    found = a_and_d(labels_a, labels_a * times)
    assert [found[name] for name in NAMES[1:]] == pytest.approx([0] * 6, abs=1e-9)


def test_a_difference_of_exactly_the_limit_is_not_beyond_it() -> None:
    """0.8 - 0.7 is a little more than 0.1 in floating point."""
    rows = [(False, "a")] * 8 + [(False, "b")] * 2 + [(True, "a")] * 7 + [(True, "b")] * 3
    result = measured(rows, Bias(facets=(IN_FACET,), favorable_labels=("a",), limits={"DPL": 0.1}))
    assert values(result)["DPL"] > 0.1  # type: ignore[operator]
    assert not result.is_biased


def test_a_favorable_threshold_makes_two_labels() -> None:
    """As in Clarify's own report: shares of each number there is would differ in nearly all."""
    config = Bias(facets=(IN_FACET,), favorable_threshold=3)
    found = measured([(False, True), (False, False), (True, True), (True, False)], config)
    assert found.facets[0].labels_a == found.facets[0].labels_d == {"false": 1, "true": 1}
    assert values(found)["TVD"] == 0


def test_labels_that_differ_in_their_last_digits_are_different() -> None:
    rows = [(False, 0.1), (True, 0.1 + 1e-15)]
    found = measured(rows, Bias(facets=(IN_FACET,), favorable_labels=(0.1,)))
    assert values(found)["TVD"] == 1


def test_a_limit_without_a_value_is_a_warning_and_no_bias() -> None:
    config = Bias(facets=(IN_FACET,), favorable_labels=("a",), limits={"DPL": 0.1, "CI": 1})
    result = measured([(False, "a"), (False, "b")], config)
    assert not result.is_biased
    assert result.warnings == ("facet = 1: DPL has a limit and no value, as there is no label of the facet",)


def test_a_favorable_outcome_that_no_row_has_is_a_warning() -> None:
    """Most likely it is spelled otherwise: all its metrics would be 0, no bias."""
    result = measured([(False, "yes"), (True, "no")], Bias(facets=(IN_FACET,), favorable_labels=("Yes",)))
    assert values(result)["DPL"] == 0
    assert result.warnings == ("no row has the favorable outcome, label Yes",)


def test_values_that_are_too_many_to_be_facets_are_a_warning() -> None:
    rows = [(index, 1) for index in range(FACETS_MAX + 3)]
    result = measured(rows, Bias(facets=("facet",), favorable_labels=(1,)))
    assert result.left_out == {"facet": 3}
    assert result.warnings == ("facet: 3 values, the rarest, are no facets: name those to measure",)


def test_what_is_measured_has_no_warnings() -> None:
    rows = [(False, "a"), (True, "a")]
    result = measured(rows, Bias(facets=("facet",), favorable_labels=("a",), limits={"DPL": 0.1}))
    assert result.warnings == ()
