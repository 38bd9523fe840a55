"""A run costs what its jobs used, at list prices; what is unknown is never free."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain import prices
from sluice.domain.build import costs
from sluice.domain.money import money, month_of, next_month

M5 = {"instance_type": "ml.m5.large", "instance_count": 1}


def test_a_job_on_lambda_costs_its_memory_for_its_time_and_a_request() -> None:
    cost = costs.of_step("prepare", "lambda", {"billed_s": 10.0, "memory_mb": 2048})
    assert cost.gb_s == 20
    disk = 10 * (10240 - 512) / 1024 * 0.0000000309
    assert cost.usd == pytest.approx(20 * 0.0000166667 + disk + 0.0000002)
    arm = costs.of_step("prepare", "lambda", {"billed_s": 10, "memory_mb": 2048, "architecture": "arm64"})
    assert arm.usd == pytest.approx(20 * 0.0000133334 + disk + 0.0000002)


def test_temporary_storage_above_the_free_part_costs_too() -> None:
    usage = {"billed_s": 100, "memory_mb": 1024, "storage_mb": 512 + 10240}
    lean = costs.of_step("prepare", "lambda", {**usage, "storage_mb": 512})
    full = costs.of_step("prepare", "lambda", usage)
    assert full.usd is not None
    assert lean.usd is not None
    assert full.usd - lean.usd == pytest.approx(100 * 10 * 0.0000000309)


def test_a_job_on_sagemaker_costs_each_instance_for_its_billable_seconds() -> None:
    cost = costs.of_step("train-0", "sagemaker", {"billed_s": 3600, **M5, "instance_count": 3})
    assert cost.instance_s == 10800
    assert cost.usd == pytest.approx(3 * 0.115)


def test_its_disk_costs_too() -> None:
    cost = costs.of_step("train-0", "sagemaker", {"billed_s": 730 * 3600, **M5, "volume_gb": 100})
    assert cost.usd == pytest.approx(730 * 0.115 + 100 * 0.14)


@pytest.mark.parametrize(
    ("backend", "usage", "why"),
    [
        ("sagemaker", {"billed_s": 60, "instance_type": "ml.m5.larg"}, "did you mean 'ml.m5.large'?"),
        ("sagemaker", {"billed_s": 60}, "no list price"),
        ("sagemaker", M5, "was not recorded"),
        ("lambda", {"billed_s": 1}, "memory was not recorded"),
        ("lambda", {"billed_s": 1, "memory_mb": 128, "architecture": "riscv"}, "riscv"),
        ("lambda", None, "was not recorded"),
    ],
)
def test_what_is_unknown_is_not_free(backend: str, usage: dict[str, Any] | None, why: str) -> None:
    cost = costs.of_step("train-0", backend, usage)
    assert cost.usd is None
    assert why in str(cost.unknown)


def job(step: str, **given: Any) -> dict[str, Any]:
    usage = {"billed_s": 60, **M5}
    return {
        "step": step,
        "job_name": f"j-{step}",
        "job_arn": "arn",
        "status": "Completed",
        "usage": usage,
        **given,
    }


STEPS = [job("prepare"), job("train-0"), job("train-1"), job("evaluate-candidate"), {"step": "gates"}]
ENDED = {"status": "rejected", "validated_at": "2026"}


def test_a_run_costs_its_jobs_its_states_and_the_stacks_own_functions() -> None:
    cost = costs.of_run(STEPS, ENDED)
    assert [step.step for step in cost.steps] == ["prepare", "train-0", "train-1", "evaluate-candidate"]
    jobs = 4 * 0.115 / 60
    assert cost.usd is not None
    assert jobs < cost.usd < jobs + 0.002
    assert cost.transitions_usd == pytest.approx(cost.transitions * 0.025 / 1000)


def test_what_reads_more_data_than_one_invocation_can_costs_its_time_and_states() -> None:
    used = {"billed_s": 7200.0, "requests": 8, "memory_mb": 2048, "architecture": "arm64"}
    usual, long = costs.of_run(STEPS, ENDED), costs.of_run(STEPS, {**ENDED, "reading_usage": used})
    assert long.steps[1:] == usual.steps
    assert (long.steps[0].step, long.steps[0].gb_s) == (costs.READING, 14_400)
    assert long.transitions == usual.transitions + 2 * 8
    assert long.usd is not None
    assert usual.usd is not None
    assert long.usd - usual.usd > 14_400 * 0.0000133334


def test_one_unknown_step_makes_the_total_unknown_but_not_what_is_known() -> None:
    unpriced = job("train-2", usage={"billed_s": 60, "instance_type": "ml.z9.large", "instance_count": 1})
    cost = costs.of_run([*STEPS, unpriced], ENDED)
    assert cost.usd is None
    assert cost.known_usd > 0
    assert "train-2: no list price of ml.z9.large" in cost.unknown[0]


def test_what_never_ran_and_what_was_reused_costs_nothing() -> None:
    never = job("train-0", job_arn=None, ended_at="2026", status="Stopped", usage=None)
    reused = job("prepare", cached={"run_id": "r"}, job_name=None, job_arn=None, usage=None)
    cost = costs.of_run([never, reused], ENDED)
    assert [(step.backend, step.usd) for step in cost.steps] == [("sagemaker", 0), ("cache", 0)]
    assert cost.is_reusing
    assert not costs.of_run(STEPS, ENDED).is_reusing


def test_a_job_that_still_runs_has_an_unknown_cost() -> None:
    assert costs.of_run([job("prepare", status="InProgress", usage=None)], {"status": "running"}).usd is None


def test_storage_is_a_monthly_cost_and_no_part_of_the_total() -> None:
    stored = costs.of_run(STEPS, ENDED, storage_bytes=10 * 1024**3)
    assert stored.storage_usd_month == pytest.approx(0.23)
    assert stored.usd == costs.of_run(STEPS, ENDED).usd


def test_an_estimate_is_the_mean_of_runs_of_known_cost() -> None:
    assert costs.estimate([0.25, None, 0.75]) == costs.Estimate(2, 0.5, 0.25, 0.75)
    assert costs.estimate([None]) == costs.Estimate(0, None, None, None)


@given(st.lists(st.floats(0, 1e4), min_size=1))
def test_an_estimate_lies_among_what_it_is_made_from(former: list[float]) -> None:
    found = costs.estimate(former)
    assert found.usd is not None
    assert found.least_usd is not None
    assert found.most_usd is not None
    assert found.least_usd <= found.usd * (1 + 1e-9)
    assert found.usd <= found.most_usd * (1 + 1e-9)


@pytest.mark.parametrize(
    ("usd", "written"),
    [
        (None, "unknown"),
        (0, "$0.00"),
        (12.345, "$12.35"),
        (0.03, "$0.03"),
        (0.0042, "$0.0042"),
        (0.000996, "$0.0010"),
        (0.00996, "$0.01"),
        (2.5e-6, "$0.0000025"),
    ],
)
def test_money_is_written_so_that_small_amounts_can_be_told_apart(usd: float | None, written: str) -> None:
    assert money(usd) == written


def test_months_are_utc() -> None:
    at = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
    assert month_of(at) == "2026-12"
    assert next_month(at) == datetime(2027, 1, 1, tzinfo=UTC)
    assert next_month(datetime(2026, 1, 31, tzinfo=UTC)) == datetime(2026, 2, 1, tzinfo=UTC)


def test_the_table_says_from_when_and_where_its_prices_are() -> None:
    assert (prices.REGION, len(prices.AS_OF)) == ("us-east-1", 10)
    assert all(price > 0 for price in prices.INSTANCE_HOUR.values())
    assert all(source.startswith("https://aws.amazon.com/") for source in prices.SOURCES)


def test_a_larger_instance_of_a_family_costs_more() -> None:
    assert prices.INSTANCE_HOUR["ml.m5.large"] < prices.INSTANCE_HOUR["ml.m5.xlarge"]
    sizes = ("xlarge", "2xlarge", "4xlarge", "9xlarge", "18xlarge")
    family = [prices.INSTANCE_HOUR[f"ml.c5.{size}"] for size in sizes]
    assert family == sorted(family)


def test_what_a_limit_of_lambda_ended_was_paid_for_too() -> None:
    used = {"billed_s": 900, "memory_mb": 10240}
    moved = job("train-0", backend="sagemaker", lambda_usage=used)
    cost = costs.of_run([moved], ENDED)
    first, then = cost.steps
    assert (first.step, first.gb_s, then.step) == ("train-0, on Lambda first", 9000, "train-0")
    assert first.usd is not None
    assert first.usd > 0.15
    assert costs.of_item(moved) == cost.steps
    assert costs.usd_of_item(moved) == sum(step.usd or 0 for step in cost.steps)
    assert costs.usd_of_item(job("train-0", usage=None)) is None
    unheard = costs.of_run([job("train-0", lambda_usage={})], ENDED)
    assert "how long it ran was not recorded" in unheard.unknown[0]
