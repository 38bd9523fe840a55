"""Costs in words: unknown is never free, and what a budget holds back is said."""

from __future__ import annotations

from sluice_cli import outlook

ESTIMATE = {"runs": 3, "usd": 0.0042, "least_usd": 0.004, "most_usd": 0.0051}
MONTH = {"month": "2026-11", "spent_usd": 1.5, "budget_usd": 2.0, "unpriced_runs": 0}


def test_nothing_is_said_if_nothing_is_known() -> None:
    empty = {"runs": 0, "usd": None, "least_usd": None, "most_usd": None}
    assert outlook.lines({"estimate": None, "month": None, "held_back": None}) == []
    assert outlook.lines({"estimate": empty, "month": {**MONTH, "budget_usd": None}, "held_back": None}) == []


def test_an_estimate_says_what_it_is_made_from() -> None:
    (line,) = outlook.lines({"estimate": ESTIMATE, "month": None, "held_back": None})
    assert line == "the next run costs about $0.0042 (the last 3 runs: $0.0040 to $0.0051)"


def test_the_months_budget_and_what_it_holds_back_are_said() -> None:
    said = outlook.lines(
        {"estimate": None, "month": {**MONTH, "unpriced_runs": 2}, "held_back": "monthly budget of $2.00"}
    )
    assert said[0] == "2026-11: $1.50 of $2.00 spent, and 2 of unknown cost"
    assert "builds wait" in said[1]
    assert "`sluice start` starts one all the same" in said[1]
