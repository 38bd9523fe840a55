"""Drift is what is over its limit and beyond chance; how rarely chance alone is, integration tests count."""

# ruff: noqa: S311 - made data

import json
import math
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from profiled import METHODS, categories, gaussian, numbers, of_categories, of_numbers, only
from sluice.domain import canonical
from sluice.domain.config.statistics import Drift, DriftMethod
from sluice.quality.statistics.drift import compare
from sluice.quality.statistics.profiles import (
    Categories,
    ColumnProfile,
    Distribution,
    Profile,
)


@pytest.mark.parametrize("method", METHODS)
def test_a_change_that_is_sure_but_small_is_no_drift(method: DriftMethod) -> None:
    random = Random(3)
    found = of_numbers(gaussian(random, 20_000), gaussian(random, 20_000, 0.1), method=method, max=0.15)
    assert found.distances[method].p_value < 1e-4
    assert not found.has_drifted


@pytest.mark.parametrize("method", METHODS)
def test_the_method_of_the_contract_judges_and_says_by_how_much(method: DriftMethod) -> None:
    random = Random(3)
    found = of_numbers(gaussian(random, 2000), gaussian(random, 2000, 2), method=method, max=0.2)
    (reason,) = found.reasons
    assert reason.startswith(f"{method} {found.distances[method].value:.4g} from the baseline, over 0.2")


def test_a_data_set_has_not_drifted_from_itself() -> None:
    values = gaussian(Random(1), 500)
    found = of_numbers(values, values, max=0)
    assert not found.has_drifted
    assert {
        method: round(distance.value, 9) for method, distance in found.distances.items()
    } == dict.fromkeys(METHODS, 0)


def test_bins_cover_all_values_of_both_sides() -> None:
    found = of_numbers(gaussian(Random(1), 500), gaussian(Random(2), 300, 5))
    assert sum(part.baseline for part in found.bins) == 500
    assert sum(part.current for part in found.bins) == 300
    assert found.bins[0].label.startswith("<= ")
    assert found.bins[-1].label.startswith("> ")


def test_new_and_vanished_categories_are_named_and_counted() -> None:
    found = of_categories({"a": 500, "b": 300, "c": 200}, {"a": 300, "b": 300, "d": 400})
    assert found.new_categories == ("d",)
    assert found.vanished_categories == ("c",)
    assert found.new_share == 0.4
    assert found.has_drifted


def test_values_beyond_the_listed_categories_of_the_baseline_are_not_called_new() -> None:
    before = replace(
        categories({"a": 50, "b": 40}), present=100, categories=Categories({"a": 50, "b": 40}, 10)
    )
    found = only(before, categories({"a": 50, "b": 40, "fresh": 10}), (50, 40))
    assert found.new_categories == ()
    assert found.new_share == 0


@pytest.mark.parametrize(("fresh", "has_drifted"), [(30, True), (3, False), (0, False)])
def test_a_share_of_new_values_drifts_over_its_limit_if_it_is_no_chance(
    fresh: int, has_drifted: bool
) -> None:
    found = of_categories({"a": 500}, {"a": 500, "new": fresh}, max=0.9, method="js", max_new_share=0.001)
    assert found.has_drifted is has_drifted


@pytest.mark.parametrize(
    ("rows", "missing", "limit", "has_drifted"),
    [(1000, 200, 0.1, True), (1000, 50, 0.1, False), (10, 2, 0.1, False), (1000, 200, None, False)],
)
def test_a_change_of_the_missing_rate_is_drift_over_its_limit(
    rows: int, missing: int, limit: float | None, has_drifted: bool
) -> None:
    present = rows - missing
    found = only(
        categories({"a": rows}), categories({"a": present}, missing), (present,), max_missing_change=limit
    )
    assert found.missing_rate == missing / rows
    assert found.has_drifted is has_drifted


def test_a_frequent_new_category_among_many_rare_ones_is_found() -> None:
    baseline = {f"k{index}": 1 + index // 4 for index in range(100)}
    found = of_categories(baseline, baseline | {"new": 60}, method="js", max=0.99, max_new_share=0.01)
    assert found.has_drifted


def test_a_few_far_values_too_many_are_found_by_wasserstein() -> None:
    random = Random(3)
    current = [
        value * 1000 if index % 50 == 0 else value for index, value in enumerate(gaussian(random, 2000))
    ]
    assert of_numbers(gaussian(random, 2000), current, method="wasserstein").has_drifted


@pytest.mark.parametrize("method", METHODS)
def test_a_value_that_takes_the_place_of_another_is_drift(method: DriftMethod) -> None:
    """2 lies between the baseline's 1 and 3, where a count between its edges cannot tell it from 3."""
    before, after = codes(1, 3), codes(1, 2)
    assert only(before, after, (100, 100, 0), method=method).has_drifted


def codes(*values: float) -> ColumnProfile:
    mean = sum(values) / len(values)
    std = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    counts = (*(100 for _ in values), 0)
    found = Distribution(min(values), max(values), mean, std, values, counts, is_discrete=True)
    return ColumnProfile("integer", 100 * len(values), 0, 0, len(values), True, distribution=found)


@pytest.mark.parametrize("method", ["psi", "js", "chi_square", "l_infinity"])
@pytest.mark.parametrize("baseline_rows", [1000, 100_000])
def test_a_share_that_doubles_is_found_whatever_the_size_of_the_baseline(
    method: DriftMethod, baseline_rows: int
) -> None:
    tenth = baseline_rows // 10
    baseline = {"a": tenth, "b": tenth * 4, "c": tenth * 5}
    current = {"a": 100, "b": 180, "c": 220}
    assert of_categories(baseline, current, method=method, max=0.05).has_drifted


CELL_METHODS: tuple[DriftMethod, ...] = ("psi", "js", "chi_square", "l_infinity")


@pytest.mark.parametrize("method", CELL_METHODS)
@pytest.mark.parametrize(("baseline_rows", "rows"), [(100_000, 600), (100_000, 5), (600, 100_000), (20, 20)])
def test_a_rare_category_that_takes_every_row_is_found_at_any_sizes(
    method: DriftMethod, baseline_rows: int, rows: int
) -> None:
    rare = max(1, baseline_rows // 1000)
    found = of_categories({"no": baseline_rows - rare, "yes": rare}, {"yes": rows}, method=method)
    assert found.distances[method].value > 0.5
    assert 0 < found.distances[method].p_value < 1e-6
    assert found.has_drifted


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rows", [5, 700])
def test_a_constant_that_becomes_another_is_found(method: DriftMethod, rows: int) -> None:
    before, after = codes(7), replace(codes(9), present=rows)
    assert after.distribution is not None
    after = replace(after, distribution=replace(after.distribution, counts=(rows, 0)))
    assert only(before, after, (0, rows), method=method).has_drifted


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rows", [5, 10, 50])
def test_a_few_numbers_far_from_a_thousand_are_found(method: DriftMethod, rows: int) -> None:
    random = Random(3)
    assert of_numbers(gaussian(random, 1000), gaussian(random, rows, 100), method=method).has_drifted


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rows", [10, 15, 100])
def test_numbers_of_which_none_is_among_those_of_the_baseline_are_found(
    method: DriftMethod, rows: int
) -> None:
    before, after = codes(*map(float, range(rows))), codes(*(200.0 + value for value in range(rows)))
    assert before.distribution is not None
    assert after.distribution is not None
    ones = (*(1 for _ in range(rows)), 0)
    before = replace(before, present=rows, distribution=replace(before.distribution, counts=ones))
    after = replace(after, present=rows, distribution=replace(after.distribution, counts=ones))
    found = only(before, after, (*(0 for _ in range(rows)), rows), method=method, max=0.5)
    assert found.has_drifted


@pytest.mark.parametrize("method", CELL_METHODS)
def test_five_new_categories_in_five_rows_are_found(method: DriftMethod) -> None:
    baseline = dict.fromkeys("abcdefghij", 100)
    found = of_categories(baseline, {f"new {i}": 1 for i in range(5)}, method=method)
    assert found.has_drifted


@pytest.mark.parametrize("method", METHODS)
def test_where_no_test_can_tell_the_column_is_said_to_have_too_few_rows(method: DriftMethod) -> None:
    random = Random(3)
    found = of_numbers(gaussian(random, 5), gaussian(random, 3, 100), method=method)
    assert not found.has_drifted
    assert found.note == "too few rows to tell: 3 with a value, 5 in the baseline"


def test_what_few_rows_can_tell_depends_on_the_columns_that_share_the_level() -> None:
    one, all_new = categories({"a": 100}), categories({"b": 2})
    for columns, note in ((1, None), (50, "too few rows to tell: 2 with a value, 100 in the baseline")):
        names = [f"x{index}" for index in range(columns)]
        before = Profile(100, dict.fromkeys(names, one))
        after = Profile(2, dict.fromkeys(names, all_new), dict.fromkeys(names, (0,)))
        found = compare(after, before, Drift(max=0.1), "v").columns[0]
        assert (found.has_drifted, found.note) == (note is None, note)


def test_rows_that_could_tell_and_have_not_changed_have_no_note() -> None:
    random = Random(3)
    assert of_numbers(gaussian(random, 1000), gaussian(random, 5)).note is None


def test_far_values_of_a_heavy_tail_are_no_distance_of_their_own() -> None:
    """That of the values one by one is the most there is, and straight lines made it ten times as much."""
    random = Random(4)
    baseline, current = ([math.tan(math.pi * (random.random() - 0.5)) for _ in range(3000)] for _ in range(2))
    before = numbers(baseline).distribution
    assert before is not None
    found = of_numbers(baseline, current).distances["wasserstein"].value
    area = math.fsum(abs(p - q) for p, q in zip(sorted(baseline), sorted(current), strict=True)) / 3000
    assert area / before.std / 2 < found <= area / before.std


def test_all_tests_of_all_columns_share_the_level() -> None:
    column = categories({"a": 1000})
    profiles = Profile(1000, {"x": column, "y": column}, {"x": (1000,), "y": (1000,)})
    limits = Drift(max=0.1, max_missing_change=0.1, max_new_share=0.1)
    for found in compare(profiles, profiles, limits, "v").columns:
        assert found.distances["psi"].level == pytest.approx(0.01 / 6)


def test_exactly_the_limit_is_not_over_it() -> None:
    """0.8 - 0.7 is a little more than 0.1 in floating point."""
    found = of_categories({"a": 70_000, "b": 30_000}, {"a": 80_000, "b": 20_000}, method="l_infinity")
    assert found.distances["l_infinity"].value > 0.1
    assert found.distances["l_infinity"].is_beyond_chance
    assert not found.has_drifted


def test_exactly_the_limit_of_a_share_of_rows_is_not_over_it_and_a_row_more_is() -> None:
    for missing, has_drifted in ((805_000, False), (805_001, True)):
        found = only(
            categories({"a": 10**6}),
            categories({"a": 10**6 - missing}, missing),
            (10**6 - missing,),
            max_missing_change=0.805,
        )
        assert found.has_drifted is has_drifted
    for new, has_drifted in ((805_000, False), (805_001, True)):
        found = of_categories(
            {"a": 10**6}, {"a": 10**6 - new, "b": new}, method="js", max=1, max_new_share=0.805
        )
        assert found.has_drifted is has_drifted


def test_a_column_that_the_baseline_lacks_is_listed_and_not_judged() -> None:
    column = categories({"a": 100})
    after = Profile(100, {"new": column, "x": column}, {"x": (100,)})
    limits = Drift(max=0.1, max_missing_change=0.1, columns=("new",))
    new, _ = compare(after, Profile(100, {"x": column}), limits, "v").columns
    assert (new.column, new.note, new.reasons) == ("new", "is not in the baseline", ())


@pytest.mark.parametrize("seconds", [-1e11, 1e13])
def test_a_time_beyond_the_calendar_is_spelled_in_seconds(seconds: float) -> None:
    column = replace(codes(seconds, seconds + 1), type="timestamp")
    found = only(column, column, (100, 100, 0))
    assert found.bins[0].label == f"<= {seconds:.12g} s since 1970"


@pytest.mark.parametrize("rows", [0, 40])
def test_a_column_that_the_baseline_had_no_value_of_is_not_compared_and_says_so(rows: int) -> None:
    found = only(ColumnProfile("number", 0, rows, 0, 0, True), numbers([1.0, 2.0] * 50), None)
    assert found.note == "has no value in the baseline"
    assert not found.distances
    assert (found.missing is None) is (rows == 0)


def test_a_column_that_is_gone_is_missing_in_every_row() -> None:
    found = only(categories({"a": 100}), None, (), max_missing_change=0.5)
    assert found.note == "has no value"
    assert found.reasons == ("the share of rows without a value changed by 1, over 0.5",)


def test_a_column_whose_type_changed_is_not_compared_and_says_so() -> None:
    found = only(categories({"a": 100}), numbers([1.0, 2.0]), (1, 1))
    assert found.note == "was string, is number"
    assert not found.has_drifted
    assert not found.distances


def test_a_column_that_is_not_judged_is_measured() -> None:
    before = Profile(1000, {"x": categories({"a": 1000}), "y": categories({"a": 1000})})
    after = Profile(
        1000,
        {"x": categories({"b": 1000}), "y": categories({"b": 1000})},
        {"x": (0,), "y": (0,)},
    )
    result = compare(after, before, Drift(max=0.1, columns=("y",)), "v")
    x, y = result.columns
    assert x.distances["psi"].value == y.distances["psi"].value > 1
    assert (x.has_drifted, y.has_drifted) == (False, True)
    assert result.reasons[0].startswith("y: psi ")


@pytest.mark.parametrize("make", [lambda: numbers([1.0] * 50), lambda: categories({"a": 50})])
def test_a_column_of_one_value_does_not_drift(make: Callable[[], ColumnProfile]) -> None:
    column = make()
    counts = (50, 0) if column.distribution else (50,)
    found = only(column, column, counts, max=0)
    assert found.distances
    assert not found.has_drifted


def test_a_result_is_plain_json() -> None:
    random = Random(3)
    before, after = numbers(gaussian(random, 500)), numbers(gaussian(random, 500))
    assert before.distribution is not None
    profile = Profile(500, {"x": after}, {"x": before.distribution.counts})
    result = compare(profile, Profile(500, {"x": before}), Drift(max=0.1), "v" * 64)
    written = json.loads(canonical.to_json(result.to_dict()))
    assert written["baseline"] == "v" * 64
    assert written["has_drifted"] is False
    assert set(written["columns"][0]["distances"]) == set(METHODS)
