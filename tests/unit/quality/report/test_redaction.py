"""What is published about a data set tells no value of a redacted column."""

from __future__ import annotations

import json

from sluice.quality.report import monitor_files
from sluice.quality.report.redaction import redact_profile
from sluice.quality.statistics.profiles import Categories, ColumnProfile, Distribution, Profile

SALARY = Distribution(777.0, 7777.0, 4777.0, 77.0, (777.0, 7777.0), (1, 1), is_discrete=True)


def test_statistics_of_a_redacted_column_are_counts_alone() -> None:
    columns = {
        "name": ColumnProfile(
            "string", 3, 1, 0, 2, True, categories=Categories({"sentinel": 1, "other": 1}, 0)
        ),
        "salary": ColumnProfile("number", 2, 1, 0, 2, True, distribution=SALARY),
    }
    shown = monitor_files.statistics(redact_profile(Profile(3, columns), ["name", "salary"]))
    name, salary = json.loads(shown)["features"]
    assert salary == {
        "name": "salary",
        "inferred_type": "Fractional",
        "numerical_statistics": {"common": {"num_present": 2, "num_missing": 1}},
    }
    assert name["string_statistics"]["distribution"]["categorical"]["buckets"] == [
        {"value": "value 1", "count": 1},
        {"value": "value 2", "count": 1},
    ]


def test_a_column_that_is_not_redacted_is_as_it_was() -> None:
    profile = Profile(3, {"salary": ColumnProfile("number", 2, 1, 0, 2, True, distribution=SALARY)})
    assert redact_profile(profile, ["name"]) == profile
