"""Measure a data set's statistical bias before training, by the eight metrics of SageMaker Clarify.

Facet d has the rows that may be disadvantaged, facet a all others; q is a facet's share of favorable labels
and P its distribution over the labels. The formulas are from the Amazon SageMaker guide, "Pre-training Bias
Metrics": CI = (n_a - n_d) / (n_a + n_d), DPL = q_a - q_d, KL = sum P_a ln(P_a / P_d), JS its symmetric mean
against (P_a + P_d) / 2, LP the Euclidean norm of P_a - P_d, TVD half of its sum, KS its greatest part; CDDL
is the demographic disparity within groups. A label that one facet lacks has a probability of 0 there;
Clarify's metrics ignore it (`compat: clarify`). Clarify's report first makes numbers two labels, favorable
and not, as a favorable threshold does here; named labels stay separate.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, field
from typing import Any

from sluice.domain.config.base import Severity
from sluice.domain.config.statistics import Bias, BiasMetricName, Facet
from sluice.lazy import dataclass
from sluice.quality.statistics.distances import is_over, spelled

FACETS_MAX = 50
_OF_BOTH: tuple[BiasMetricName, ...] = ("CI", "DPL", "KL", "JS", "LP", "TVD", "KS")


class TooManyValuesError(ValueError):
    """Columns of a bias analysis have too many values to be facets, labels or groups."""


@dataclass(frozen=True, slots=True)
class LabelCount:
    """The number of rows with these values, in the columns' types; `group` may be missing."""

    facet: Any
    label: Any
    group: str | None
    rows: int


@dataclass(frozen=True, slots=True)
class BiasMetric:
    """A metric's value, which may be infinite; None, with an `error`, if it is not defined."""

    name: BiasMetricName
    value: float | None
    limit: float | None = None
    error: str | None = None

    @property
    def is_exceeded(self) -> bool:
        """Whether the value is farther from 0 (no bias) than the limit."""
        return self.limit is not None and self.value is not None and is_over(abs(self.value), self.limit)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; an infinite value is the string "inf" or "-inf"."""
        fields = asdict(self)
        if self.value is not None and math.isinf(self.value):
            fields["value"] = str(self.value)
        return {**fields, "is_exceeded": self.is_exceeded}


@dataclass(frozen=True, slots=True)
class FacetBias:
    """One facet: rows with its values (d, disadvantaged) compared with all others (a, advantaged).

    Label counts are by the label's value as text; `favorable_a` and `favorable_d` are the rows with a
    favorable label.
    """

    column: str
    values: str
    rows_a: int
    rows_d: int
    labels_a: Mapping[str, int]
    labels_d: Mapping[str, int]
    metrics: tuple[BiasMetric, ...]
    favorable_a: int = 0
    favorable_d: int = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about limits without a value to compare."""
        return tuple(
            f"{self.column} {self.values}: {m.name} has a limit and no value, as {m.error}"
            for m in self.metrics
            if m.limit is not None and m.error is not None
        )

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(
            f"{self.column} {self.values}: {m.name} is {spelled(m.value, m.limit)}, "
            f"farther from 0 than {m.limit:g}"
            for m in self.metrics
            if m.value is not None and m.limit is not None and m.is_exceeded
        )


@dataclass(frozen=True, slots=True)
class BiasResult:
    """All facets; their numbers ignore rows without a label or the facet's value.

    `left_out` is how many values of a column have no facet, as it has more than FACETS_MAX.
    """

    label: str
    favorable: str
    severity: Severity
    facets: tuple[FacetBias, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about what was requested but not measured."""
        found = [warning for facet in self.facets for warning in facet.warnings]
        rows = sum(facet.rows_a + facet.rows_d for facet in self.facets)
        if rows and not any(facet.favorable_a or facet.favorable_d for facet in self.facets):
            found.append(f"no row has the favorable outcome, {self.label} {self.favorable}")
        for column, values in self.left_out.items():
            found.append(f"{column}: {values} values, the rarest, are no facets: name those to measure")
        return tuple(found)

    @property
    def is_biased(self) -> bool:
        return any(self.reasons)

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(reason for facet in self.facets for reason in facet.reasons)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        facets = [
            {**asdict(facet), "metrics": [metric.to_dict() for metric in facet.metrics]}
            for facet in self.facets
        ]
        return {**asdict(self), "is_biased": self.is_biased, "facets": facets}


def measure(counts: Sequence[Sequence[LabelCount]], label: str, config: Bias) -> BiasResult:
    """Measure each facet of the config; `counts` are in the same order.

    A facet without values or threshold becomes one for each of its FACETS_MAX most frequent values.
    """
    facets: list[FacetBias] = []
    left_out = {}
    for facet, counted in zip(config.facet_models, counts, strict=True):
        facets += [_measure_facet(facet.column, name, rows, config) for name, rows in _facets(facet, counted)]
        if facet.threshold is None and facet.values is None:
            left_out[facet.column] = len({row.facet for row in counted}) - FACETS_MAX
    left_out = {column: values for column, values in left_out.items() if values > 0}
    return BiasResult(label, _favorable_name(config), config.severity, tuple(facets), left_out)


@dataclass(frozen=True, slots=True)
class _Row:
    """Rows of one facet (d or a), label and group."""

    is_d: bool
    label: str
    is_favorable: bool
    group: str | None
    count: int


def _facets(
    facet: Facet, counted: Sequence[LabelCount]
) -> Iterator[tuple[str, list[tuple[bool, LabelCount]]]]:
    """Yield each facet's name, and whether each count belongs to it (d) or to the others (a)."""
    if facet.threshold is not None:
        yield f"> {facet.threshold:g}", [(bool(row.facet), row) for row in counted]
    elif facet.values is not None:
        yield f"= {' or '.join(map(_spelled, facet.values))}", [(bool(row.facet), row) for row in counted]
    else:
        sizes: Counter[Any] = Counter()
        for row in counted:
            sizes[row.facet] += row.rows
        ranked = sorted(sizes, key=lambda value: (-sizes[value], _spelled(value)))
        if not ranked:
            yield "of any value", []
        for value in ranked[:FACETS_MAX]:
            yield f"= {_spelled(value)}", [(row.facet == value, row) for row in counted]


def _measure_facet(
    column: str, name: str, counted: Iterable[tuple[bool, LabelCount]], config: Bias
) -> FacetBias:
    rows = [
        _Row(is_d, _spelled(row.label), _is_favorable(row.label, config), row.group, row.rows)
        for is_d, row in counted
    ]
    labels_a, labels_d = _labels(rows, is_d=False), _labels(rows, is_d=True)
    n_a, n_d = sum(labels_a.values()), sum(labels_d.values())
    favorable: Counter[bool] = Counter()
    for row in rows:
        favorable[row.is_d] += row.count * row.is_favorable
    values = _values(rows, labels_a, labels_d, favorable, config)
    metrics = tuple(
        BiasMetric(metric, value, config.limits.get(metric))
        if not isinstance(value, str)
        else BiasMetric(metric, None, config.limits.get(metric), value)
        for metric, value in values.items()
    )
    return FacetBias(column, name, n_a, n_d, labels_a, labels_d, metrics, favorable[False], favorable[True])


def _labels(rows: Iterable[_Row], *, is_d: bool) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for row in rows:
        if row.is_d == is_d:
            counts[row.label] += row.count
    return dict(sorted(counts.items()))


def _values(
    rows: Sequence[_Row],
    labels_a: Mapping[str, int],
    labels_d: Mapping[str, int],
    favorable: Mapping[bool, int],
    config: Bias,
) -> dict[BiasMetricName, float | str]:
    """Return each metric's value, or why it has none."""
    n_a, n_d = sum(labels_a.values()), sum(labels_d.values())
    values: dict[BiasMetricName, float | str] = dict.fromkeys(_OF_BOTH, _absence(n_a, n_d))
    if n_a or n_d:
        values["CI"] = (n_a - n_d) / (n_a + n_d)
    if n_a and n_d:
        values["DPL"] = favorable[False] / n_a - favorable[True] / n_d
        values |= _of_distributions(_shares(labels_a, labels_d, config))
    if config.group is not None:
        values["CDDL"] = _conditional_demographic_disparity(rows) if n_a and n_d else _absence(n_a, n_d)
    return values


def _absence(n_a: int, n_d: int) -> str:
    whose = {(False, False): "any row", (False, True): "the others", (True, False): "the facet"}
    return f"there is no label of {whose.get((n_a > 0, n_d > 0))}"


def _shares(
    labels_a: Mapping[str, int], labels_d: Mapping[str, int], config: Bias
) -> list[tuple[float, float]]:
    """Return the probability of each label in a and in d."""
    n_a, n_d = sum(labels_a.values()), sum(labels_d.values())
    labels = sorted({*labels_a, *labels_d})
    if config.compat == "clarify":
        labels = [label for label in labels if label in labels_a and label in labels_d]
    return [(labels_a.get(label, 0) / n_a, labels_d.get(label, 0) / n_d) for label in labels]


def _of_distributions(shares: Sequence[tuple[float, float]]) -> dict[BiasMetricName, float | str]:
    if not shares:
        names: tuple[BiasMetricName, ...] = ("KL", "JS", "LP", "TVD", "KS")
        return dict.fromkeys(names, "no label is in both the facet and the others")
    gaps = [abs(p_a - p_d) for p_a, p_d in shares]
    return {
        "KL": _kullback_leibler(shares),
        "JS": _jensen_shannon(shares),
        "LP": math.sqrt(sum(gap * gap for gap in gaps)),
        "TVD": sum(gaps) / 2,
        "KS": max(gaps),
    }


def _kullback_leibler(shares: Iterable[tuple[float, float]]) -> float:
    """Return the divergence, infinite if the first distribution has a label that the second lacks."""
    return sum(p * math.log(p / q) if q else math.inf for p, q in shares if p)


def _jensen_shannon(shares: Sequence[tuple[float, float]]) -> float:
    middle = [(p_a + p_d) / 2 for p_a, p_d in shares]
    from_a = _kullback_leibler((p_a, m) for (p_a, _), m in zip(shares, middle, strict=True))
    from_d = _kullback_leibler((p_d, m) for (_, p_d), m in zip(shares, middle, strict=True))
    return (from_a + from_d) / 2


def _conditional_demographic_disparity(rows: Iterable[_Row]) -> float | str:
    """Return the mean over groups, weighted by rows, of d's share of unfavorable minus favorable labels."""
    groups: defaultdict[str, Counter[tuple[bool, bool]]] = defaultdict(Counter)
    for row in rows:
        if row.group is not None:
            groups[row.group][row.is_d, row.is_favorable] += row.count
    total = sum(counts.total() for counts in groups.values())
    if not total:
        return "no row has a group"
    return sum(counts.total() * _demographic_disparity(counts) for counts in groups.values()) / total


def _demographic_disparity(counts: Mapping[tuple[bool, bool], int]) -> float:
    """Return the disparity in rows counted by (is in d, is favorable); a share of nothing is 0."""
    unfavorable = counts[True, False] + counts[False, False]
    favorable = counts[True, True] + counts[False, True]
    lost = counts[True, False] / unfavorable if unfavorable else 0.0
    won = counts[True, True] / favorable if favorable else 0.0
    return lost - won


def _is_favorable(label: Any, config: Bias) -> bool:
    if config.favorable_labels is None:
        return bool(label)
    return label in config.favorable_labels


def _favorable_name(config: Bias) -> str:
    if config.favorable_labels is None:
        return f"> {config.favorable_threshold:g}"
    return ", ".join(map(_spelled, config.favorable_labels))


def _spelled(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)
