"""The post-training metrics of SageMaker Clarify, held to its own code's numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from sluice.domain.config.statistics import Bias, Facet, PredictedBiasName
from sluice.domain.predictions import bias
from sluice.domain.predictions.table import Predictions, PredictionsError

# Computed with aws/amazon-sagemaker-clarify @024329d from rows of numpy's default_rng(7), and anew by hand.
GOLDEN = json.loads((Path(__file__).parent / "clarify_golden_predictions.json").read_text())
ROWS, EXPECTED = GOLDEN["rows"], GOLDEN["expected"]
IN_CLARIFYS_CODE = {"DCAcc": "DCA", "DCRej": "DCR"}
NAMES: tuple[PredictedBiasName, ...] = get_args(PredictedBiasName)


def texts(values: list[Any]) -> list[str]:
    return list(map(str, values))


def golden() -> Predictions:
    columns = {name: texts(ROWS[name]) for name in ("facet", "dept", "x1", "x2")}
    return Predictions(texts(list(range(80))), texts(ROWS["y"]), texts(ROWS["yhat"]), None, columns)


def config(**options: Any) -> Bias:
    facets = (Facet(column="facet", values=(1,)),)
    return Bias(facets=facets, favorable_labels=(1,), group="dept", **options)


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_is_that_of_clarify(name: PredictedBiasName) -> None:
    (found,) = bias.measure(name, golden(), config(compat="clarify"))
    assert found.value == pytest.approx(EXPECTED[IN_CLARIFYS_CODE.get(name, name)], rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_without_compat_only_the_flips_have_another_sign_as_the_guide_says(name: PredictedBiasName) -> None:
    (found,) = bias.measure(name, golden(), config())
    sign = -1 if name == "FT" else 1
    assert found.value == pytest.approx(sign * EXPECTED[IN_CLARIFYS_CODE.get(name, name)], rel=1e-12)


def small(labels: str, guesses: str, facets: str) -> Predictions:
    return Predictions(
        texts(list(range(len(labels)))), list(labels), list(guesses), None, {"facet": list(facets)}
    )


def of_counts(counts: dict[str, int]) -> Predictions:
    """Rows by facet (1 is d), label and prediction, a digit each."""
    rows = [each for each, many in counts.items() for _ in range(many)]
    facets, labels, guesses = map("".join, zip(*rows, strict=True))
    return small(labels, guesses, facets)


# Of 100 people of facet a and 50 of d the model accepts 60 and 30, and 70 and 20 were accepted.
ACCEPTED = {"011": 60, "010": 10, "000": 30, "111": 20, "101": 10, "100": 20}
# It refuses 60 and 30, and 50 and 40 were refused.
REFUSED = {"000": 50, "010": 10, "011": 40, "100": 30, "101": 10, "111": 10}


@pytest.mark.parametrize(
    ("name", "counts", "value"),
    [
        ("DCAcc", ACCEPTED, 70 / 60 - 20 / 30),
        ("DPPL", ACCEPTED, 0.0),
        ("DCRej", REFUSED, 40 / 30 - 50 / 60),
        ("DPPL", REFUSED, 0.0),
    ],
)
def test_the_examples_of_the_guide_have_its_values(
    name: PredictedBiasName, counts: dict[str, int], value: float
) -> None:
    """The SageMaker guide, "Difference in Conditional Acceptance" and "... Rejection", example 1."""
    (found,) = bias.measure(name, of_counts(counts), config())
    assert found.value == pytest.approx(value, abs=1e-12)


def test_a_share_of_nothing_has_no_value_and_says_of_what() -> None:
    of_nothing = small("1100", "1000", "0011")
    (found,) = bias.measure("RD", of_nothing, config())
    assert found.value is None
    assert found.error == "no row of the facet is favorable by its label"
    (clarify,) = bias.measure("RD", of_nothing, config(compat="clarify"))
    assert clarify.value == 0.5


def test_a_facet_without_rows_has_no_value() -> None:
    (found,) = bias.measure("DPPL", small("10", "10", "00"), config())
    assert (found.value, found.error) == (None, "there is no row of the facet")


def test_a_metric_may_be_of_the_facets_of_one_column() -> None:
    config_ = Bias(facets=("facet", "another"), favorable_labels=("great",))
    found = bias.measure("DPPL", small("1010", "1100", "xxyz"), config_, column="facet")
    assert {each.facet.partition(" ")[0] for each in found} == {"facet"}


def test_each_value_of_a_column_is_a_facet_unless_some_are_named() -> None:
    named = Bias(facets=("facet",), favorable_labels=("great",))
    found = bias.measure("DPPL", small("1010", "1100", "xxyz"), named)
    assert [each.facet for each in found] == ["facet = x", "facet = y", "facet = z"]
    assert [each.value for each in found] == [-1.0, pytest.approx(2 / 3), pytest.approx(2 / 3)]


def test_who_wrote_yes_for_a_boolean_is_told_to_write_true() -> None:
    named = Bias(facets=("facet",), favorable_labels=(True,))
    written = Predictions(["1", "2"], ["yes", "no"], ["yes", "no"], None, {"facet": ["a", "b"]})
    with pytest.raises(PredictionsError, match="but no, yes: write labels as true and false, or as 0 and 1"):
        bias.measure("DPPL", written, named)


def test_labels_that_are_none_of_the_favorable_ones_are_refused() -> None:
    named = Bias(facets=("facet",), favorable_labels=("great",))
    with pytest.raises(PredictionsError, match="none of the favorable labels great, but bad, good"):
        bias.measure(
            "DPPL",
            Predictions(["1", "2"], ["good", "bad"], ["good", "bad"], None, {"facet": ["a", "b"]}),
            named,
        )


def test_numbers_are_favorable_over_a_threshold() -> None:
    over = Bias(facets=(Facet(column="facet", threshold=5),), favorable_threshold=10)
    table = Predictions(
        texts([1, 2, 3, 4]),
        texts([9, 11, 9, 11]),
        texts([11, 11, 9, 9]),
        None,
        {"facet": texts([1, 2, 6, 7])},
    )
    (found,) = bias.measure("DPPL", table, over)
    assert (found.facet, found.value) == ("facet > 5", 1.0)


def test_a_facet_that_predictions_lack_is_named() -> None:
    with pytest.raises(PredictionsError, match="has no column 'facet'"):
        bias.measure("AD", Predictions(["1"], ["1"], ["1"], None), config())


def test_a_facet_over_a_number_wants_numbers() -> None:
    over = Bias(facets=(Facet(column="facet", threshold=5),), favorable_labels=(1,))
    with pytest.raises(PredictionsError, match="has 'x' in the column 'facet', whose facet is a number"):
        bias.measure("AD", small("10", "10", "x7"), over)


def test_disparity_within_groups_wants_a_group() -> None:
    config = Bias(facets=(Facet(column="facet", values=(1,)),), favorable_labels=(1,))
    (found,) = bias.measure("CDDPL", small("10", "10", "01"), config)
    assert (found.value, found.error) == (None, "data.bias names no group")


def test_without_any_benefit_there_is_no_entropy() -> None:
    (found,) = bias.measure("GE", small("11", "00", "01"), config())
    assert (found.facet, found.value, found.error) == ("all rows", None, "no row has any benefit")


def test_flips_want_columns_of_numbers_and_latency_is_none() -> None:
    found = small("10", "10", "01")
    with pytest.raises(PredictionsError, match="has no columns of numbers, which FT finds neighbours by"):
        bias.measure("FT", found, config())
    found.columns["latency_ms"] = ["1", "2"]  # type: ignore[index]
    found.columns["word"] = ["a", "b"]  # type: ignore[index]
    with pytest.raises(PredictionsError, match="has no columns of numbers"):
        bias.measure("FT", found, config())


def test_of_many_rows_some_are_neighbours_whatever_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bias, "NEIGHBOURHOOD_MAX", 12)
    found = golden()
    (one,) = bias.measure("FT", found, config())
    (other,) = bias.measure("FT", found.rows(list(reversed(range(80)))), config())
    assert one.value == other.value is not None


def test_a_score_counts_as_a_number_over_the_threshold() -> None:
    over = Bias(facets=(Facet(column="facet", values=("b",)),), favorable_threshold=10)
    found = Predictions(["1", "2"], ["9", "11"], None, [12.0, 3.0], {"facet": ["a", "b"]})
    (measured,) = bias.measure("DPPL", found, over)
    assert measured.value == 1.0
