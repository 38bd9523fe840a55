"""Write SageMaker Model Monitor's files: statistics.json, constraints.json and constraint_violations.json.

They are made from a profile and findings, for registry fields and other tools. A threshold means what the
contract says: Model Monitor's guide and the files it generates disagree.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise
from typing import Any

from sluice.domain import canonical
from sluice.domain.config.base import ColumnType
from sluice.domain.config.checks import KINDS
from sluice.domain.config.checks.base import MonitorCheck
from sluice.domain.config.models import Data
from sluice.quality.statistics.drift import DriftResult
from sluice.quality.statistics.profiles import ColumnProfile, Distribution, Profile
from sluice.quality.validation import Violation

BUCKETS = 10
_TYPES: dict[ColumnType, str] = {
    "integer": "Integral",
    "number": "Fractional",
    "string": "String",
    "boolean": "String",
    # Model Monitor has no type for times, and reads them as text.
    "timestamp": "String",
}


def statistics(profile: Profile) -> bytes:
    """Write statistics.json; a column's sketch is its quantiles, as a custom analysis may write its own."""
    features = [_feature(name, column) for name, column in profile.columns.items()]
    return canonical.to_json({"version": 0, "dataset": {"item_count": profile.rows}, "features": features})


def _feature(name: str, column: ColumnProfile) -> dict[str, Any]:
    common = {"num_present": column.present, "num_missing": column.missing + column.invalid}
    feature: dict[str, Any] = {"name": name, "inferred_type": _inferred_type(column)}
    if column.type in ("integer", "number"):
        return {**feature, "numerical_statistics": {"common": common, **_numbers(column)}}
    text: dict[str, Any] = {"common": common, "distinct_count": column.distinct}
    if column.categories is not None:
        buckets = [{"value": value, "count": count} for value, count in column.categories.counts.items()]
        text["distribution"] = {"categorical": {"buckets": buckets}}
    return {**feature, "string_statistics": text}


def _inferred_type(column: ColumnProfile) -> str:
    return _TYPES[column.type] if column.present else "Unknown"


def _numbers(column: ColumnProfile) -> dict[str, Any]:
    found = column.distribution
    if found is None:
        return {}
    sketch = {"parameters": {"c": 0.0, "k": float(len(found.edges))}, "data": [list(found.edges)]}
    return {
        "mean": found.mean,
        # JSON has no infinity: cap the sum.
        "sum": max(-sys.float_info.max, min(found.mean * found.total, sys.float_info.max)),
        "std_dev": found.std,
        "min": found.min,
        "max": found.max,
        "distribution": {"kll": {"buckets": list(_buckets(found)), "sketch": sketch}},
    }


def _buckets(found: Distribution) -> Iterator[dict[str, float]]:
    """Yield ten buckets of equal width, interpolated if only quantiles are known."""
    # Divide first: a difference may exceed a float's range.
    low, high = found.min / BUCKETS, found.max / BUCKETS
    bounds = [low * (BUCKETS - index) + high * index for index in range(1, BUCKETS)]
    # Rounding may exceed the ends, and even a float's range.
    bounds = [found.min, *(max(found.min, min(bound, found.max)) for bound in bounds), found.max]
    below = [0.0, *(count_below(found, bound) for bound in bounds[1:-1]), float(found.total)]
    for (low, high), (start, end) in zip(pairwise(bounds), pairwise(below), strict=True):
        yield {"lower_bound": low, "upper_bound": high, "count": float(round(end) - round(start))}


def count_below(found: Distribution, bound: float) -> float:
    """Return how many values are at most the bound."""
    edges, totals = found.edges, list(accumulate(found.counts))
    index = bisect_right(edges, bound)
    if found.is_discrete or (index == 0 and bound <= found.min):
        return float(totals[index - 1]) if index else 0.0
    low = edges[index - 1] if index else found.min
    high = edges[index] if index < len(edges) else found.max
    start = totals[index - 1] if index else 0
    part = (bound / 2 - low / 2) / (high / 2 - low / 2) if high / 2 > low / 2 else 0.0
    return start + (totals[index] - start) * min(max(part, 0.0), 1.0)


def constraints(profile: Profile, data: Data) -> bytes:
    """Write constraints.json: what the contract requires, and otherwise what the profile shows."""
    features = [_constraint(name, column, data) for name, column in profile.columns.items()]
    return canonical.to_json({"version": 0, "features": features, "monitoring_config": _monitoring(data)})


def _constraint(name: str, column: ColumnProfile, data: Data) -> dict[str, Any]:
    contract = data.columns[name]
    needed = contract.rows_need_value or name == data.label
    feature: dict[str, Any] = {
        "name": name,
        "inferred_type": _inferred_type(column),
        "completeness": 1.0 if needed else _floor(column.present, column.rows),
    }
    if column.type in ("integer", "number"):
        least = contract.min if isinstance(contract.min, int | float) else None
        feature["num_constraints"] = {"is_non_negative": least is not None and least >= 0}
    elif contract.allowed is not None:
        feature["string_constraints"] = {"domains": [str(value) for value in contract.allowed]}
    return feature


def _floor(part: int, whole: int) -> float:
    """Round a share down, so that data with exactly this share reach it."""
    return part * 1_000_000 // whole / 1_000_000 if whole else 0.0


def _monitoring(data: Data) -> dict[str, Any]:
    """Return thresholds: 1.0 for shares of conforming values, the contract's for distances."""
    drift = data.drift
    methods = {"l_infinity": "LInfinity", "chi_square": "ChiSquared"}
    comparison: dict[str, Any] = {"perform_comparison": "Disabled"}
    if drift is not None and drift.method in ("ks", *methods):
        comparison = {
            "perform_comparison": "Enabled",
            "comparison_threshold": drift.max,
            "comparison_method": "Robust",
            "categorical_comparison_threshold": drift.max,
            "categorical_drift_method": methods.get(drift.method, "LInfinity"),
        }
    return {
        "evaluate_constraints": "Enabled",
        "emit_metrics": "Enabled",
        "datatype_check_threshold": 1.0,
        "domain_content_threshold": 1.0,
        "distribution_constraints": comparison,
    }


def violations(found: Iterable[Violation], drift: DriftResult | None = None) -> bytes:
    """Write constraint_violations.json: drift, and the violations of kinds that Model Monitor has."""
    listed = [
        violation(each.column or "", name, each.message)
        for each in found
        if each.check in KINDS and (name := KINDS[each.check].monitor) is not None
    ]
    for column in drift.columns if drift is not None else ():
        listed += [violation(column.column, "baseline_drift_check", reason) for reason in column.reasons]
    return canonical.to_json({"violations": listed})


def violation(feature: str, check: MonitorCheck, description: str) -> dict[str, str]:
    """Make an entry of constraint_violations.json."""
    return {"feature_name": feature, "constraint_check_type": check, "description": description}
