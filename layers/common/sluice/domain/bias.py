"""Statistical bias of a data set before training: the eight pre-training metrics of SageMaker Clarify."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sluice.domain.config.base import Severity
from sluice.domain.config.statistics import BiasMetricName


@dataclass(frozen=True, slots=True)
class BiasMetric:
    """A metric's value, which may be infinite; None, with the `error`, where it is not defined."""

    name: BiasMetricName
    value: float | None
    limit: float | None = None
    error: str | None = None

    @property
    def is_exceeded(self) -> bool:
        """Whether the value is farther from 0, which is no bias, than the limit."""
        return self.limit is not None and self.value is not None and abs(self.value) > self.limit

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: an infinite value is spelled as the string "inf" or "-inf"."""
        fields = asdict(self)
        if self.value is not None and math.isinf(self.value):
            fields["value"] = str(self.value)
        return {**fields, "is_exceeded": self.is_exceeded}


@dataclass(frozen=True, slots=True)
class FacetBias:
    """One facet: rows with a value of the facet (d, disadvantaged) against all others (a, advantaged).

    The label counts are by the label's value, as text.
    """

    column: str
    values: str
    rows_a: int
    rows_d: int
    labels_a: Mapping[str, int]
    labels_d: Mapping[str, int]
    metrics: tuple[BiasMetric, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(
            f"{self.column} {self.values}: {m.name} is {m.value:.4g}, farther from 0 than {m.limit:g}"
            for m in self.metrics
            if m.is_exceeded
        )


@dataclass(frozen=True, slots=True)
class BiasResult:
    """All facets; rows without a label or a facet's value are in none of its numbers."""

    label: str
    favorable: str
    severity: Severity
    facets: tuple[FacetBias, ...]

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
