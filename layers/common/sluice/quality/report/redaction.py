"""Remove the values of redacted columns from what is published about a data set; counts of rows stay."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from sluice.quality.statistics.bias import BiasResult, FacetBias
from sluice.quality.statistics.drift import ColumnDrift, DriftResult
from sluice.quality.statistics.profiles import Categories, ColumnProfile, Profile


def redact_profile(profile: Profile, hidden: Collection[str]) -> Profile:
    """Number the categories, which keep their counts, and remove ranges and shapes of numbers."""
    columns = {
        name: _anonymous(column) if name in hidden else column for name, column in profile.columns.items()
    }
    return replace(profile, columns=columns)


def redact_drift(drift: DriftResult, hidden: Collection[str]) -> DriftResult:
    """Remove the labels of a hidden column's bins; distances and counts stay."""
    columns = tuple(_without_labels(c) if c.column in hidden else c for c in drift.columns)
    return replace(drift, columns=columns)


def redact_bias(bias: BiasResult, hidden: Collection[str]) -> BiasResult:
    """Remove the values of hidden facets and labels; the metrics stay."""
    facets = tuple(
        _without_values(facet, is_label=bias.label in hidden, is_facet=facet.column in hidden)
        for facet in bias.facets
    )
    return replace(bias, favorable="redacted" if bias.label in hidden else bias.favorable, facets=facets)


def _anonymous(column: ColumnProfile) -> ColumnProfile:
    found = column.categories
    categories = None if found is None else Categories(_numbered(found.counts), found.other)
    return replace(column, categories=categories, distribution=None)


def _numbered(counts: Mapping[str, int]) -> dict[str, int]:
    return {f"value {index}": count for index, count in enumerate(counts.values(), 1)}


def _without_labels(column: ColumnDrift) -> ColumnDrift:
    bins = tuple(replace(found, label=f"bin {index}") for index, found in enumerate(column.bins, 1))
    new = ("redacted",) * len(column.new_categories)
    vanished = ("redacted",) * len(column.vanished_categories)
    return replace(column, bins=bins, new_categories=new, vanished_categories=vanished)


def _without_values(facet: FacetBias, *, is_label: bool, is_facet: bool) -> FacetBias:
    changes: dict[str, Any] = {}
    if is_facet:
        changes["values"] = "redacted"
    if is_label:
        changes |= {"labels_a": _numbered(facet.labels_a), "labels_d": _numbered(facet.labels_d)}
    return replace(facet, **changes)
