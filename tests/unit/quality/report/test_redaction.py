"""What is published about a data set tells no value of a redacted column."""

from __future__ import annotations

import json
from dataclasses import replace

from sluice.quality.report import monitor_files
from sluice.quality.report.redaction import redact_bias, redact_drift, redact_profile
from sluice.quality.statistics.bias import BiasResult, FacetBias
from sluice.quality.statistics.drift import Bin, ColumnDrift, DriftResult
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


def test_labels_and_values_of_a_hidden_column_leave_drift_and_bias_and_counts_stay() -> None:
    column = ColumnDrift("x", "string", {}, (Bin("secret", 3, 4),), 0.0, 0.0, None, ("new",), ("gone",))
    drift = DriftResult("v1", "psi", 0.1, "warn", 7, 8, (column, replace(column, column="y")))
    hidden, shown = redact_drift(drift, {"x"}).columns
    assert shown == replace(column, column="y")
    assert (hidden.bins, hidden.new_categories) == ((Bin("bin 1", 3, 4),), ("redacted",))
    assert hidden.vanished_categories == ("redacted",)

    facet = FacetBias("x", "secret", 3, 4, {"yes": 2, "no": 1}, {"yes": 4}, ())
    bias = BiasResult("label", "yes", "warn", (facet, replace(facet, column="y")))
    hidden_facet, other = redact_bias(bias, {"x"}).facets
    assert (hidden_facet.values, other.values) == ("redacted", "secret")
    of_label = redact_bias(bias, {"label"})
    assert of_label.favorable == "redacted"
    assert list(of_label.facets[0].labels_a.values()) == [2, 1]
    assert not {"yes", "no"} & {*of_label.facets[0].labels_a, *of_label.facets[0].labels_d}
