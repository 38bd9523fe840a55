"""No more candidates are started than may be paid, as far as that is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from sluice.catalog.records.builds import Step, StepStatus
from sluice.domain.build import spending

# An hour of ml.m5.large, 11.5 cents.
HOUR = {"billed_s": 3600, "instance_type": "ml.m5.large", "instance_count": 1}


def candidate(
    index: int, status: StepStatus = "Completed", usage: Any = HOUR, arn: str | None = "arn"
) -> Step:
    return Step("reviews-00001", f"train-{index}", status, "training_job", job_arn=arn, usage=usage)


def refusal(most_usd: float, *steps: Step, former: Sequence[Step] = ()) -> str | None:
    return spending.refusal(steps, "train-9", most_usd, former)


def test_the_first_is_always_started_and_the_others_wait_for_what_it_costs() -> None:
    assert refusal(0.01) is None
    for ahead in (candidate(0, "InProgress"), candidate(1, "Starting"), candidate(2, "Waiting")):
        assert spending.must_wait([ahead], "train-9")
        assert not spending.must_wait([ahead, candidate(3)], "train-9")
        assert not spending.must_wait([ahead], "train-9", [candidate(0)])


def test_of_those_that_ask_at_once_one_is_started() -> None:
    asked = [candidate(index, "Starting") for index in (0, 1, 2)]
    assert [spending.must_wait(asked, each.step) for each in asked] == [False, True, True]


@pytest.mark.parametrize(("most_usd", "starts"), [(0.24, True), (0.22, False)])
def test_before_one_has_ended_the_former_run_tells_what_each_costs(most_usd: float, starts: bool) -> None:
    former = [candidate(0), candidate(1), candidate(2, "Failed", None, None)]
    assert (refusal(most_usd, candidate(0, "InProgress"), former=former) is None) == starts


@pytest.mark.parametrize(("most_usd", "starts"), [(0.24, True), (0.22, False)])
def test_one_more_is_taken_to_cost_the_mean_of_those_that_ended(most_usd: float, starts: bool) -> None:
    assert (refusal(most_usd, candidate(0)) is None) == starts


def test_what_runs_counts_as_if_it_had_ended() -> None:
    running = candidate(1, "InProgress", usage=None)
    assert refusal(0.35, candidate(0), running) is None
    assert refusal(0.34, candidate(0), running) == (
        "one more would make candidates cost about $0.35, more than max_cost_usd, $0.34"
    )


def test_other_steps_and_what_had_no_job_and_the_candidate_itself_do_not_count() -> None:
    prepare = Step("reviews-00001", "prepare", "Completed", "processing_job", job_arn="arn", usage=HOUR)
    assert refusal(0.24, candidate(0), prepare, candidate(1, "Failed", None, None), candidate(9)) is None


def test_a_cost_that_is_unknown_holds_back_all_others() -> None:
    unpriced = candidate(0, usage=HOUR | {"instance_type": "ml.z9.large"})
    assert "the cost of train-0 is unknown: no list price of ml.z9.large" in str(refusal(99, unpriced))
