"""Hold a data set's profile against Model Monitor's statistics.json and constraints.json of a baseline.

The distances are those of Deequ, on which Model Monitor is built: the largest difference of two cumulative
distributions, or of two categories' shares; `Robust` takes off 1.8 sqrt((n + m) / (n m)) for samples' sizes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from sluice.quality.report.monitor_files import count_below, violation
from sluice.quality.statistics.profiles import ColumnProfile, Profile
from sluice_analyzers.datasets import AnalysisError

Item = Mapping[str, Any]
_TYPES = {"Integral": "integer", "Fractional": "number", "String": "string", "Unknown": "string"}
_ROBUST = 1.8


def columns(constraints: Item) -> dict[str, dict[str, Any]]:
    """Return the columns that constraints.json expects, as a contract's schema."""
    return {each["name"]: {"type": _TYPES[each["inferred_type"]]} for each in constraints.get("features", [])}


def violations(
    profile: Profile, names: list[str], constraints: Item, statistics: Item | None
) -> list[dict[str, str]]:
    """Return what constraint_violations.json lists.

    The profile has the columns with the types that the baseline has; `names` are all columns that there are.
    Raises AnalysisError for a comparison that is not made here.
    """
    config = constraints.get("monitoring_config", {})
    if config.get("evaluate_constraints", "Enabled") != "Enabled":
        return []
    before = {each["name"]: each for each in (statistics or {}).get("features", [])}
    found = list(_columns(names, constraints))
    for feature in constraints.get("features", []):
        name = feature["name"]
        if (column := profile.columns.get(name)) is None:
            continue
        settings = {**config, **_overrides(feature)}
        found += _of_column(name, column, feature, settings)
        if name in before:
            found += _drift(name, column, before[name], settings.get("distribution_constraints", {}))
    return found


def _overrides(feature: Item) -> Item:
    # Files have the first spelling, the guide prints the second.
    overrides: Item = (
        feature.get("monitoring_config_overrides") or feature.get("monitoringConfigOverrides") or {}
    )
    return overrides


def _columns(names: list[str], constraints: Item) -> Iterator[dict[str, str]]:
    expected = [each["name"] for each in constraints.get("features", [])]
    for name in expected:
        if name not in names:
            yield violation(name, "missing_column_check", "There is no such column in the data set.")
    for name in names:
        if name not in expected:
            yield violation(name, "extra_column_check", "The baseline has no such column.")


def _of_column(name: str, column: ColumnProfile, feature: Item, settings: Item) -> Iterator[dict[str, str]]:
    written = column.present + column.invalid
    fitting = column.present / written if written else 1.0
    least = settings.get("datatype_check_threshold", 1.0)
    if feature["inferred_type"] != "Unknown" and fitting < least:
        kind = feature["inferred_type"]
        yield violation(
            name, "data_type_check", f"{fitting:.2%} of the values are {kind}; {least:.2%} must be."
        )
    complete = written / column.rows if column.rows else 1.0
    if complete < feature.get("completeness", 0.0):
        wanted = feature["completeness"]
        yield violation(
            name,
            "completeness_check",
            f"{complete:.2%} of the rows have a value; {wanted:.2%} must have one.",
        )
    domain = (feature.get("string_constraints") or {}).get("domains")
    if domain and column.present:
        counts = column.categories.counts if column.categories else {}
        known = sum(counts.get(value, 0) for value in domain) / column.present
        least = settings.get("domain_content_threshold", 1.0)
        if known < least:
            description = f"{known:.2%} of the values are of the baseline's domain; {least:.2%} must be."
            yield violation(name, "categorical_values_check", description)


def _drift(name: str, column: ColumnProfile, before: Item, settings: Item) -> Iterator[dict[str, str]]:
    if settings.get("perform_comparison", "Disabled") != "Enabled":
        return
    is_robust = settings.get("comparison_method", "Robust") == "Robust"
    if "numerical_statistics" in before:
        distance = _numeric_distance(column, before["numerical_statistics"], is_robust=is_robust)
        limit = settings.get("comparison_threshold", 0.1)
    else:
        if settings.get("categorical_drift_method", "LInfinity") != "LInfinity":
            raise AnalysisError(
                f"{name}: categorical_drift_method must be LInfinity; what AWS means by "
                f"{settings['categorical_drift_method']} is not published."
            )
        distance = _categorical_distance(column, before.get("string_statistics", {}), is_robust=is_robust)
        limit = settings.get("categorical_comparison_threshold", 0.1)
    if distance is not None and distance > limit:
        description = f"The distance from the baseline, {distance:.4g}, exceeds {limit:.4g}."
        yield violation(name, "baseline_drift_check", description)


def _numeric_distance(column: ColumnProfile, before: Item, *, is_robust: bool) -> float | None:
    buckets = before.get("distribution", {}).get("kll", {}).get("buckets", [])
    total = sum(bucket["count"] for bucket in buckets)
    now = column.distribution
    if not total or now is None or not now.total:
        return None
    reached = distance = 0.0
    for bucket in buckets[:-1]:
        reached += bucket["count"]
        distance = max(distance, abs(reached / total - count_below(now, bucket["upper_bound"]) / now.total))
    return _corrected(distance, total, now.total, is_robust=is_robust)


def _categorical_distance(column: ColumnProfile, before: Item, *, is_robust: bool) -> float | None:
    buckets = before.get("distribution", {}).get("categorical", {}).get("buckets", [])
    known = {bucket["value"]: bucket["count"] for bucket in buckets}
    now = column.categories
    if not known or now is None or not now.total:
        return None
    total = sum(known.values())
    shares = (
        abs(known.get(value, 0) / total - now.counts.get(value, 0) / now.total)
        for value in {*known, *now.counts}
    )
    return _corrected(max(shares), total, now.total, is_robust=is_robust)


def _corrected(distance: float, n: float, m: float, *, is_robust: bool) -> float:
    return max(0.0, distance - _ROBUST * math.sqrt((n + m) / (n * m))) if is_robust else distance
