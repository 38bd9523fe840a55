"""Costs in words: unknown is never free, and what a budget holds back is said."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.domain import config
from sluice_cli import cost_commands, outlook, project

ESTIMATE = {"runs": 3, "usd": 0.0042, "least_usd": 0.004, "most_usd": 0.0051}
MONTH = {"month": "2026-11", "spent_usd": 1.5, "budget_usd": 2.0, "unpriced_runs": 0}


def test_nothing_is_said_if_nothing_is_known() -> None:
    empty = {"runs": 0, "usd": None, "least_usd": None, "most_usd": None}
    assert outlook.lines({"estimate": None, "month": None, "held_back": None}) == []
    assert outlook.lines({"estimate": empty, "month": {**MONTH, "budget_usd": None}, "held_back": None}) == []


def test_an_estimate_says_what_it_is_made_from() -> None:
    (line,) = outlook.lines({"estimate": ESTIMATE, "month": None, "held_back": None})
    span = "$0.0040 to $0.0051"
    made_of = f"(as the last 3 complete runs, {span}; packages apart)"
    assert line == f"the next run costs about $0.0042 if it computes every step {made_of}"
    alike = {**ESTIMATE, "least_usd": 0.0042, "most_usd": 0.00421, "is_by_steps": True}
    (line,) = outlook.lines({"estimate": alike, "month": None, "held_back": None})
    assert line == "all its steps cost about $0.0042 (as former ones)"
    (one,) = outlook.lines({"estimate": {**ESTIMATE, "runs": 1}, "month": None, "held_back": None})
    as_one = "(as the last complete run; packages apart)"
    assert one == f"the next run costs about $0.0042 if it computes every step {as_one}"


def test_the_months_budget_and_what_it_holds_back_are_said() -> None:
    said = outlook.lines(
        {"estimate": None, "month": {**MONTH, "unpriced_runs": 2}, "held_back": "monthly budget of $2.00"}
    )
    assert said[0] == "2026-11: $1.50 of $2.00 spent, and 2 of unknown cost"
    assert "builds wait" in said[1]
    assert "`sluice start` starts one all the same" in said[1]


FOUND = {
    "run_id": "reviews-00001",
    "status": "registered",
    "steps": [
        {"step": "prepare", "backend": "lambda", "billed_s": 2.5, "used": "4.3 GB-s", "usd": 0.000058},
        {
            "step": "train-0",
            "backend": "sagemaker",
            "billed_s": 60.0,
            "used": "60 s of ml.m5.large",
            "usd": 0.002,
        },
    ],
    "transitions": {"count": 17, "usd": 0.000425},
    "functions_and_catalog": {"usd": 0.0002, "is_estimated": True},
    "storage": {"bytes": 2_000_000, "usd_a_month": 0.00004},
    "usd": 0.002683,
    "known_usd": 0.002683,
    "unknown": [],
    "prices": {"region": "us-east-1", "as_of": "2026-08-20", "sources": []},
    "next_run": {"estimate": None, "month": None, "held_back": None},
}


def printed(capsys: pytest.CaptureFixture[str], *, is_local: bool = False, **changes: Any) -> str:
    cost_commands.print_cost({**FOUND, **changes}, is_local=is_local)
    return " ".join(capsys.readouterr().out.split())


def test_each_step_is_listed_with_what_it_used_and_costs(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys)
    assert "prepare lambda 2.5 s 4.3 GB-s $0.000058" in text
    assert "train-0 sagemaker 60.0 s 60 s of ml.m5.large $0.0020" in text
    assert "17 transitions" in text
    assert "total: $0.0027" in text
    assert "keeping the 2 MB that it wrote costs" in text
    assert "not in it: endpoints, and the metrics" in text
    assert "us-east-1 as of 2026-08-20" in text
    assert "for nothing" not in text


def test_a_run_that_wrote_nothing_keeps_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert "keeping" not in printed(capsys, storage={"bytes": 0, "usd_a_month": 0.0})
    text = printed(capsys, storage={"bytes": 3_100, "usd_a_month": 7e-8})
    assert "keeping the 3 kB that it wrote costs $0.000000070 a month" in text


def test_a_run_that_goes_on_and_one_on_the_local_cloud_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert "total so far: $0.0027" in printed(capsys, status="running")
    assert "it ran here, for nothing" in printed(capsys, is_local=True)


def test_an_unknown_step_makes_the_total_unknown_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, usd=None, unknown=["train-1: no list price of ml.z9.large"])
    assert "total: unknown, and $0.0027 for what is known" in text
    assert "train-1: no list price of ml.z9.large" in text


def test_a_push_names_instances_without_a_price(config_text: str) -> None:
    loaded = config.load(config_text.replace("instance_type: ml.m5.large", "instance_type: ml.m5.larg"))
    said = project.unpriced(loaded)
    assert any(
        each.startswith("train.compute.instance_type: what runs cost is unknown")
        and each.endswith("no list price of ml.m5.larg; did you mean 'ml.m5.large'?")
        for each in said
    )
    assert project.unpriced(config.load(config_text)) == []
