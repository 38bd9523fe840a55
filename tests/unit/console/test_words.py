"""Durations, people and events are written as people say them."""

from __future__ import annotations

import pytest

from sluice.console import words


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (None, "\u2013"),
        (0.01, "< 0.1 s"),
        (5, "5.0 s"),
        (99, "1 min 39 s"),
        (120, "2 min"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (86400 * 3 + 3600 * 2, "3 d 2 h"),
    ],
)
def test_a_duration_has_one_or_two_units(seconds: float | None, written: str) -> None:
    assert words.took(seconds) == written


@pytest.mark.parametrize(
    ("actor", "written"),
    [
        ("arn:aws:iam::123456789012:user/team/ada", "ada"),
        ("arn:aws:iam::123456789012:root", "root"),
        ("arn:aws:sts::123456789012:assumed-role/Admin/ada", "ada"),
        ("arn:aws:iam::123456789012:user/ada (unverified)", "ada (unverified)"),
        ("sluice", "sluice"),
        (None, ""),
    ],
)
def test_a_person_is_named_by_the_end_of_an_arn(actor: str | None, written: str) -> None:
    assert words.person(actor) == written


def test_statuses_in_names_of_events_are_words() -> None:
    assert words.event("run data_rejected") == "run data rejected"


def test_metrics_that_differ_do_not_look_the_same() -> None:
    found = words.facts(
        {"subject": "metrics", "what": "accuracy", "values": [0.77071, None, 0.77074, "passed"]}
    )
    assert found == ["0.77071", "\u2013", "0.77074", "passed"]
    assert words.facts({"subject": "data", "what": "size_bytes", "values": [2000, 2000]}) == ["2 kB"] * 2
