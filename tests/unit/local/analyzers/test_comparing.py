"""A data set is held against the files of a baseline as Model Monitor does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice.quality.report import monitor_files
from sluice.quality.statistics.profiles import Categories, ColumnProfile, Distribution, Profile
from sluice_analyzers import comparing
from sluice_analyzers.datasets import AnalysisError


def numbers(*counts: int, missing: int = 0, invalid: int = 0) -> ColumnProfile:
    """Numbers 0, 1, 2, ..., each so often."""
    edges = tuple(float(value) for value in range(len(counts)))
    found = Distribution(0.0, edges[-1], 1.0, 1.0, edges, (*counts, 0), is_discrete=True)
    return ColumnProfile("number", sum(counts), missing, invalid, len(counts), True, found)


def words(missing: int = 0, **counts: int) -> ColumnProfile:
    return ColumnProfile(
        "string", sum(counts.values()), missing, 0, len(counts), True, None, Categories(counts, 0)
    )


def statistics(**columns: ColumnProfile) -> Any:
    return json.loads(monitor_files.statistics(Profile(100, columns)))


def constraints(*features: dict[str, Any], method: str = "Simple", **config: Any) -> dict[str, Any]:
    drift = {
        "perform_comparison": "Enabled",
        "comparison_threshold": 0.1,
        "comparison_method": method,
        "categorical_comparison_threshold": 0.1,
        "categorical_drift_method": "LInfinity",
    }
    return {"features": list(features), "monitoring_config": {"distribution_constraints": drift, **config}}


X = {"name": "x", "inferred_type": "Fractional", "completeness": 1.0}
C = {"name": "c", "inferred_type": "String", "completeness": 0.9}


def found(expected: Any, before: Any = None, **columns: ColumnProfile) -> list[tuple[str, str]]:
    profile = Profile(100, columns)
    listed = comparing.violations(profile, list(columns), expected, before)
    return [(each["feature_name"], each["constraint_check_type"]) for each in listed]


def test_data_like_the_baseline_violate_nothing() -> None:
    before = statistics(x=numbers(50, 50), c=words(a=60, b=40))
    assert found(constraints(X, C), before, x=numbers(52, 48), c=words(a=55, b=45)) == []


def test_columns_must_be_those_of_the_baseline() -> None:
    assert found(constraints(X), None, y=numbers(100)) == [
        ("x", "missing_column_check"),
        ("y", "extra_column_check"),
    ]


@pytest.mark.parametrize(
    ("column", "config", "violated"),
    [
        (numbers(50, 49, invalid=1), {}, ["data_type_check"]),
        (numbers(50, 49, invalid=1), {"datatype_check_threshold": 0.9}, []),
        (numbers(50, 49, missing=1), {}, ["completeness_check"]),
    ],
)
def test_values_must_be_there_and_of_the_type(
    column: ColumnProfile, config: dict[str, Any], violated: list[str]
) -> None:
    assert [check for _, check in found(constraints(X, **config), None, x=column)] == violated


def test_values_outside_the_domain_are_too_many() -> None:
    domain = {**C, "string_constraints": {"domains": ["a", "b"]}}
    assert found(constraints(domain), None, c=words(a=60, z=40)) == [("c", "categorical_values_check")]
    tolerant = {**domain, "monitoring_config_overrides": {"domain_content_threshold": 0.5}}
    assert found(constraints(tolerant), None, c=words(a=60, z=40)) == []


def test_another_distribution_is_drift() -> None:
    before = statistics(x=numbers(50, 50), c=words(a=60, b=40))
    moved = {"x": numbers(80, 20), "c": words(a=80, b=20)}
    assert found(constraints(X, C), before, **moved) == [
        ("x", "baseline_drift_check"),
        ("c", "baseline_drift_check"),
    ]
    # Of 100 rows each a distance of 0.3 is within what their number explains, 0.1 + 0.25.
    assert found(constraints(X, C, method="Robust"), before, x=numbers(84, 16), c=words(a=60, b=40)) == []
    assert found(constraints(X, method="Robust"), before, x=numbers(99, 1)) == [("x", "baseline_drift_check")]


def test_what_is_disabled_is_not_looked_at() -> None:
    assert found(constraints(X, evaluate_constraints="Disabled"), None, y=numbers(1)) == []


def test_a_method_that_nobody_published_is_refused_by_name() -> None:
    expected = constraints(C)
    expected["monitoring_config"]["distribution_constraints"]["categorical_drift_method"] = "ChiSquared"
    with pytest.raises(AnalysisError, match="c: categorical_drift_method must be LInfinity"):
        found(expected, statistics(c=words(a=60, b=40)), c=words(a=60, b=40))
