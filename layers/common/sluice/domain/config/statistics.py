"""The statistics of a data contract: limits on bias before training and on drift from a baseline."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from sluice.domain.config.base import Model, ScalarValue, Severity

BiasMetricName = Literal["CI", "DPL", "KL", "JS", "LP", "TVD", "KS", "CDDL"]
# Of a model's predictions. In a configuration AWS writes DCA and DCR for DCAcc and DCRej.
PredictedBiasName = Literal[
    "DPPL", "DI", "DCAcc", "DCRej", "SD", "RD", "DAR", "DRR", "AD", "TE", "CDDPL", "FT", "GE"
]
DriftMethod = Literal["psi", "js", "ks", "wasserstein", "chi_square", "l_infinity"]


class Facet(Model):
    """The rows (facet d, possibly disadvantaged) to compare with all others (facet a)."""

    column: str = Field(description="a column of the schema")
    values: tuple[ScalarValue, ...] | None = Field(
        None, description="the values that form the facet; by default each value forms one", min_length=1
    )
    threshold: int | float | None = Field(
        None, description="a number: the rows with a greater value form the facet"
    )


def _spelling(facet: Any) -> str:
    return "column" if isinstance(facet, str) else "facet"


# Discriminated by kind, so that an error is about the kind that was meant.
FacetOrColumn = Annotated[
    Annotated[str, Tag("column")] | Annotated[Facet, Tag("facet")], Discriminator(_spelling)
]


class Bias(Model):
    """Clarify's pre-training metrics, each with a limit on its distance from 0, which means no bias."""

    facets: tuple[FacetOrColumn, ...] = Field(
        description="columns, or mappings with column and values or threshold", min_length=1, max_length=50
    )
    favorable_labels: tuple[ScalarValue, ...] | None = Field(
        None, description="the label's values that count as the favorable outcome", min_length=1
    )
    favorable_threshold: int | float | None = Field(
        None, description="a number: greater values of the label count as the favorable outcome"
    )
    group: str | None = Field(
        None, description="the column whose values are the groups that CDDL compares within"
    )
    limits: dict[BiasMetricName, Annotated[float, Field(ge=0)]] = Field(
        {}, description="by metric (CI, DPL, KL, JS, LP, TVD, KS, CDDL) the greatest distance from 0"
    )
    severity: Severity = Field("fail", description="fail (reject the data set) or warn (only report it)")
    compat: Literal["clarify"] | None = Field(
        None, description="clarify, to ignore labels that one side lacks, as SageMaker Clarify does"
    )

    @property
    def facet_models(self) -> tuple[Facet, ...]:
        """The facets; those given as a column's name as facets too."""
        return tuple(Facet(column=f) if isinstance(f, str) else f for f in self.facets)


class Drift(Model):
    """The drift that is allowed. A distance is drift if it exceeds the limit and what chance explains."""

    method: DriftMethod = Field("psi", description="psi, js, ks, wasserstein, chi_square or l_infinity")
    max: float = Field(description="the greatest distance that does not count as drift", ge=0)
    max_missing_change: float | None = Field(
        None, description="the greatest change of the share of rows without a value, 0 to 1", ge=0, le=1
    )
    max_new_share: float | None = Field(
        None, description="the greatest share of values, 0 to 1, that the baseline lacks", ge=0, le=1
    )
    columns: tuple[str, ...] | None = Field(
        None, description="the columns to judge, by default all", min_length=1
    )
    severity: Severity = Field("fail", description="fail (reject the data set) or warn (only report it)")
    baseline: str = Field(
        "previous",
        description="previous (the last valid version) or a data set version of 64 hex digits",
        pattern=r"^(previous|[0-9a-f]{64})$",
    )
