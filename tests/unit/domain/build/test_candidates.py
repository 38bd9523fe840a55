"""Candidates follow from the project alone: a grid, draws by seed, and rungs of successive halving."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.domain.build import candidates
from sluice.domain.config.candidates import CANDIDATES_MAX, Budget, Candidates, Metric, Range
from sluice.domain.config.models import Train
from sluice.domain.names import InvalidNameError
from trying import examples

TrainOf = Callable[..., Train]


def train_of(hyperparameters: dict[str, Any] | None = None, **wanted: Any) -> Train:
    wanted.setdefault("objective", "accuracy")
    return Train(
        script="src/train.py",
        hyperparameters=hyperparameters or {},
        candidates=Candidates(**wanted),
        metrics=(Metric(name="accuracy", regex="accuracy: (.+)"),),
    )


def drawn(count: int, space: dict[str, Any], seed: int = 0) -> list[dict[str, Any]]:
    train = train_of(strategy="random", space=space, max_candidates=count, seed=seed)
    return [candidate.values for candidate in candidates.expand(train)]


def halving(count: int, least: float, most: float, factor: int) -> Train:
    return train_of(
        strategy="halving",
        space={"alpha": Range(min=0.0, max=1.0)},
        max_candidates=count,
        budget=Budget(hyperparameter="epochs", min=least, max=most),
        reduction_factor=factor,
    )


def rungs(*given: Any) -> list[tuple[int, Any]]:
    return [(rung.size, rung.budget) for rung in candidates.rungs(halving(*given))]


def test_a_grid_is_every_combination_in_the_order_written() -> None:
    train = train_of({"epochs": 3}, space={"b": (1, 2), "a": ("x", "y")})
    assert candidates.first(train) == ["0", "1", "2", "3"]
    found = [candidates.of_step(train, f"train-{index}") for index in range(4)]
    assert [(each["b"], each["a"]) for each in found] == [
        ("1", '"x"'),
        ("1", '"y"'),
        ("2", '"x"'),
        ("2", '"y"'),
    ]
    assert {each["epochs"] for each in found} == {"3"}


def test_the_space_wins_over_the_common_hyperparameters() -> None:
    assert candidates.of_step(train_of({"a": 1}, space={"a": (2,)}), "train-0") == {"a": "2"}


def test_without_a_space_there_is_one_candidate() -> None:
    train = train_of({"a": True})
    assert candidates.first(train) == ["0"]
    assert candidates.of_step(train, "train-0") == {"a": "true"}


def test_other_steps_have_no_hyperparameters() -> None:
    assert candidates.of_step(train_of({"a": 1}), "prepare") == {}


SPACE = {
    "alpha": Range(min=1e-6, max=1.0, log=True),
    "depth": Range(min=1, max=64, integer=True, log=True),
    "leaves": Range(min=-3, max=3, integer=True),
    "share": Range(min=0.1, max=0.9),
    "penalty": ("l1", "l2", True),
}


def test_a_seed_draws_what_it_always_drew() -> None:
    """On any machine and version: models of earlier runs are made again by these values."""
    assert drawn(3, SPACE, seed=42) == SEED_42


SEED_42 = [
    {"alpha": 0.0336466, "depth": 2, "leaves": -1, "share": 0.11465, "penalty": "l1"},
    {"alpha": 0.497851, "depth": 9, "leaves": -1, "share": 0.496654, "penalty": True},
    {"alpha": 1.01431e-06, "depth": 54, "leaves": 2, "share": 0.651925, "penalty": "l2"},
]


def test_more_candidates_keep_the_former() -> None:
    assert drawn(20, SPACE)[:5] == drawn(5, SPACE)


def test_another_hyperparameter_and_another_order_keep_the_values_of_the_others() -> None:
    backwards = dict(reversed(SPACE.items())) | {"more": Range(min=0, max=1)}
    assert [{name: each[name] for name in SPACE} for each in drawn(9, backwards)] == drawn(9, SPACE)


def test_another_seed_draws_others() -> None:
    assert drawn(5, SPACE) != drawn(5, SPACE, seed=1)


def test_a_space_that_has_no_more_is_tried_as_a_whole() -> None:
    assert len(drawn(50, {"a": (1, 2), "b": (1, 2, 3)})) == 6
    assert sorted(each["n"] for each in drawn(9, {"n": Range(min=1, max=4, integer=True)})) == [1, 2, 3, 4]


def test_whole_numbers_are_drawn_alike_and_orders_of_magnitude_are_if_asked() -> None:
    def share(at_most: float, numbers: Range) -> float:
        found = [candidates._within(numbers, candidates._uniform(0, "x", draw)) for draw in range(4000)]
        return sum(value <= at_most for value in found) / len(found)

    assert share(3, Range(min=1, max=10, integer=True)) == pytest.approx(0.3, abs=0.03)
    assert share(1e-3, Range(min=1e-6, max=1.0, log=True)) == pytest.approx(0.5, abs=0.03)
    assert share(0.25, Range(min=0, max=1.0)) == pytest.approx(0.25, abs=0.03)


@st.composite
def ranges(draw: st.DrawFn) -> Range:
    is_log = draw(st.booleans())
    if draw(st.booleans()):
        least = draw(st.integers(1 if is_log else -1000, 1000))
        return Range(min=least, max=draw(st.integers(least + 1, 5000)), log=is_log, integer=True)
    least_ = draw(st.floats(1e-9 if is_log else -1e9, 1e9))
    return Range(min=least_, max=draw(st.floats(math.nextafter(least_, math.inf), 2e9)), log=is_log)


spaces = st.dictionaries(
    st.sampled_from("abcde"),
    ranges() | st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True).map(tuple),
    min_size=1,
)


@settings(max_examples=examples(60))
@given(spaces, st.integers(1, CANDIDATES_MAX), st.integers(0, 2**32 - 1))
def test_draws_are_different_and_within_bounds_and_the_same_again(
    space: dict[str, Any], count: int, seed: int
) -> None:
    found = drawn(count, space, seed)
    assert 1 <= len(found) <= count
    assert len({json.dumps(point, sort_keys=True) for point in found}) == len(found)
    assert found == drawn(count, space, seed)
    for point in found:
        assert set(point) == set(space)
        for name, values in space.items():
            if not isinstance(values, Range):
                assert point[name] in values
                continue
            assert values.min <= point[name] <= values.max
            assert isinstance(point[name], int) == values.integer


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((9, 1, 9, 3), [(9, 1), (3, 3), (1, 9)]),
        ((27, 1, 27, 3), [(27, 1), (9, 3), (3, 9), (1, 27)]),
        # One that is alone needs no further comparison.
        ((4, 1, 27, 3), [(4, 1), (1, 27)]),
        ((8, 10, 100, 2), [(8, 12), (4, 25), (2, 50), (1, 100)]),
        ((6, 0.1, 0.8, 2), [(6, 0.1), (3, 0.2), (1, 0.8)]),
        # There is no room for a second rung: the budget does not grow by the factor.
        ((5, 4, 9, 3), [(5, 9)]),
        ((1, 1, 9, 3), [(1, 9)]),
    ],
)
def test_rungs_have_fewer_candidates_with_more_budget(
    given: tuple[Any, ...], expected: list[tuple[int, Any]]
) -> None:
    assert rungs(*given) == expected


@settings(max_examples=examples(60))
@given(
    st.integers(1, CANDIDATES_MAX),
    st.integers(1, 50),
    st.integers(1, 500),
    st.integers(2, 10),
)
def test_rungs_end_with_the_whole_budget_and_train_less_than_twice_as_many(
    count: int, least: int, more: int, factor: int
) -> None:
    found = rungs(count, least, least + more, factor)
    sizes, budgets = zip(*found, strict=True)
    assert sizes[0] == count
    assert budgets[-1] == least + more
    assert all(least <= budget for budget in budgets)
    assert list(budgets) == sorted(set(budgets))
    assert list(sizes) == sorted(set(sizes), reverse=True)
    assert sum(sizes) < 2 * count or count == 1
    assert len(sizes) <= 6


def test_a_rung_trains_the_same_candidate_with_its_budget() -> None:
    train = halving(9, 1, 9, 3)
    first, later = (candidates.of_step(train, step) for step in ("train-4", "train-4-r2"))
    assert (first.pop("epochs"), later.pop("epochs")) == ("1", "9")
    assert first == later


def test_a_candidates_step_names_its_place() -> None:
    assert candidates.place("train-12") == (12, 0)
    assert candidates.place(f"train-{candidates.name(12, 3)}") == (12, 3)
    for other in ("prepare", "train-", "train-x", "train-1-r0", "train-1-r"):
        with pytest.raises(InvalidNameError):
            candidates.place(other)


def test_what_runs_beside_each_other_is_in_the_order_of_its_number_whatever_began_first() -> None:
    began = {
        "prepare": "1",
        "train-10": "2",
        "train-2": "3",
        "train-0": "4",
        "train-2-r1": "6",
        "train-0-r1": "7",
        "evaluate-champion": "8",
        "evaluate-candidate": "9",
    }
    steps = [{"step": "gates", "started_at": "9.5"}, {"step": "register"}]
    steps += [{"step": name, "started_at": at} for name, at in sorted(began.items())]
    assert [step["step"] for step in candidates.in_order(steps)] == [
        "register",
        "prepare",
        "train-0",
        "train-2",
        "train-10",
        "train-0-r1",
        "train-2-r1",
        "evaluate-candidate",
        "evaluate-champion",
        "gates",
    ]
