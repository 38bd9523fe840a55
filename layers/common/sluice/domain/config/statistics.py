"""The statistics of a data contract: limits on bias before training, and on drift from a baseline."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from sluice.domain.config.base import Model, ScalarValue, Severity

BiasMetricName = Literal["CI", "DPL", "KL", "JS", "LP", "TVD", "KS", "CDDL"]
DriftMethod = Literal["psi", "js", "ks", "wasserstein", "chi_square", "l_infinity"]


class Facet(Model):
    """The rows (facet d, possibly disadvantaged) that are held against all others (facet a)."""

    column: str = Field(description="a column of the schema")
    values: tuple[ScalarValue, ...] | None = Field(
        None, description="the values that are the facet; by default each value is one", min_length=1
    )
    threshold: int | float | None = Field(
        None, description="a number: the facet is the rows with a greater value"
    )


def _spelling(facet: Any) -> str:
    return "column" if isinstance(facet, str) else "facet"


# Told apart by kind, so that an error is about the one that was meant.
FacetOrColumn = Annotated[
    Annotated[str, Tag("column")] | Annotated[Facet, Tag("facet")], Discriminator(_spelling)
]


class Bias(Model):
    """Clarify's pre-training metrics, each with a limit on how far from 0, which is no bias, it may be."""

    facets: tuple[FacetOrColumn, ...] = Field(
        description="columns, or mappings with column and values or threshold", min_length=1, max_length=50
    )
    favorable_labels: tuple[ScalarValue, ...] | None = Field(
        None, description="the label's values that are the favorable outcome", min_length=1
    )
    favorable_threshold: int | float | None = Field(
        None, description="a number: a label of a greater value is the favorable outcome"
    )
    group: str | None = Field(None, description="the column whose strata CDDL compares within")
    limits: dict[BiasMetricName, Annotated[float, Field(ge=0)]] = Field(
        {}, description="by metric (CI, DPL, KL, JS, LP, TVD, KS, CDDL) the greatest distance from 0"
    )
    severity: Severity = Field("fail", description="fail (the data set is rejected) or warn (it is said)")
    compat: Literal["clarify"] | None = Field(
        None, description="clarify, to leave out labels that one side lacks, as SageMaker Clarify does"
    )

    @property
    def facet_models(self) -> tuple[Facet, ...]:
        """The facets, one that was given as a column's name spelled out."""
        return tuple(Facet(column=f) if isinstance(f, str) else f for f in self.facets)


class Drift(Model):
    """How far a data set may be from its baseline: both the limit and what chance explains are exceeded."""

    method: DriftMethod = Field("psi", description="psi, js, ks, wasserstein, chi_square or l_infinity")
    max: float = Field(description="the greatest distance that is no drift", ge=0)
    max_missing_change: float | None = Field(
        None, description="the greatest change of the share of rows without a value, 0 to 1", ge=0, le=1
    )
    max_new_share: float | None = Field(
        None, description="the greatest share of values, 0 to 1, that the baseline has not", ge=0, le=1
    )
    columns: tuple[str, ...] | None = Field(
        None, description="the columns that are judged, by default all", min_length=1
    )
    severity: Severity = Field("fail", description="fail (the data set is rejected) or warn (it is said)")
    baseline: str = Field(
        "previous",
        description="previous (the last valid version) or a data set version of 64 hex digits",
        pattern=r"^(previous|[0-9a-f]{64})$",
    )
