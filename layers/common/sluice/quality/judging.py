"""Judge what the engine found in data: by itself, with what was found in other data, or by results alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from sluice.domain.config.models import Data
from sluice.lazy import dataclass
from sluice.quality import validation
from sluice.quality.part_results import (
    Found,
    NeedsWholeError,
    PartResults,
    contract_digest,
    merge,
    whole_checks,
)
from sluice.quality.report import redaction
from sluice.quality.statistics import bias as biases
from sluice.quality.statistics import drift as drifts
from sluice.quality.statistics.bias import BiasResult
from sluice.quality.statistics.column_parts import Edges
from sluice.quality.statistics.drift import ColumnDrift, DriftResult
from sluice.quality.statistics.profiles import ColumnProfile, Profile
from sluice.quality.validation import Finding, RowRef, Violation

if TYPE_CHECKING:
    from sluice.quality.engine import Engine, Inspection


@dataclass(frozen=True, slots=True)
class Baseline:
    """What data are compared with: the number of rows of the last valid version, and a versioned profile."""

    previous_rows: int | None = None
    version: str = ""
    profile: Profile | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What data are judged by: their contract, what they are compared with, and the present time."""

    data: Data
    baseline: Baseline
    now: datetime


@dataclass(frozen=True, slots=True)
class Statistics:
    """What was measured of data; `problems` are what could not be."""

    profile: Profile | None = None
    drift: DriftResult | None = None
    bias: BiasResult | None = None
    problems: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """The findings in all data, and their statistics."""

    rows: int
    findings: tuple[Finding, ...]
    problems: tuple[Violation, ...]
    object_rows: Mapping[str, int]
    measured: Statistics
    part: PartResults | None = None
    own: PartResults | None = None


def alone(engine: Engine, found: Inspection, terms: Terms, *, keeps_part: bool) -> Judged:
    """Judge inspected data by themselves."""
    measured = _measure(engine, found, terms) if found.rows else Statistics()
    part = None
    if keeps_part and not whole_checks(terms.data) and measured.profile is not None and not measured.problems:
        columns = measured.profile.columns
        edges = {name: c.distribution.edges for name, c in columns.items() if c.distribution}
        part = _part(engine, found, terms, edges, found.rows)
    return Judged(found.rows, found.findings, found.problems, found.object_rows, measured, part, part)


def together(
    engine: Engine, found: Inspection, terms: Terms, former: PartResults, *, keeps_edges: bool
) -> Judged:
    """Judge new results together with former results of other data."""
    try:
        (own,) = edged_parts(engine, found, terms, former, keeps_edges=keeps_edges)
        part = merge(former, own, validation.checks(terms.data))
    except biases.TooManyValuesError as error:
        # Validation of all data reports this in the same way.
        raise NeedsWholeError(str(error)) from None
    return of_parts(part, own, terms, omits=keeps_edges)


def of_parts(part: PartResults, own: PartResults | None, terms: Terms, *, omits: bool) -> Judged:
    """Judge the merged results of all data; `omits` as in a part's `profile`."""
    measured = Statistics()
    if part.rows:
        profile = part.profile(terms.baseline.profile if terms.data.drift else None, omits=omits)
        measured = _without_areas(_compare(profile, part.labels, terms), part.of_older_edges)
    found = part.findings(validation.checks(terms.data), terms.now)
    return Judged(part.rows, found, part.problems, part.object_rows, measured, part, own)


def _without_areas(measured: Statistics, columns: Collection[str]) -> Statistics:
    """Remove the distances that depend on quantiles of other data."""
    if measured.drift is None:
        return measured

    def without(column: ColumnDrift) -> ColumnDrift:
        if column.column not in columns:
            return column
        left = dict(column.distances)
        left.pop("wasserstein", None)
        return replace(column, distances=left)

    drift = replace(measured.drift, columns=tuple(map(without, measured.drift.columns)))
    return replace(measured, drift=drift)


def edged_parts(
    engine: Engine,
    found: Inspection,
    terms: Terms,
    edged: PartResults | None,
    *,
    keeps_edges: bool,
    leaf_count: int = 1,
) -> Iterator[PartResults]:
    """Collect the results of each leaf of inspected data, all between the same edges: see `read`."""
    edges = {} if edged is None else dict(edged.edges)
    if edged is None or keeps_edges:
        edges |= _quantiles(engine, found, terms.data, set(found.columns) - edges.keys())
    edged_rows = found.rows if edged is None else edged.edged_rows
    for each in [found] if leaf_count == 1 else map(engine.leaf, range(leaf_count)):
        yield _part(engine, each, terms, edges, edged_rows)


def leaf_parts(engine: Engine, whole: PartResults, terms: Terms, leaf_count: int) -> Iterator[PartResults]:
    """Collect the results of each leaf of data whose own are known, counted as these."""
    if leaf_count == 1:
        yield whole
        return
    for found in map(engine.leaf, range(leaf_count)):
        yield _part(engine, found, terms, whole.edges, whole.edged_rows)


def _quantiles(engine: Engine, found: Inspection, data: Data, names: Collection[str]) -> dict[str, Edges]:
    """Measure the quantiles of columns of numbers, texts and times."""
    from sluice.quality.engine import DATA, profiling

    types = {name: type_ for name in found.columns if (type_ := data.columns[name].type) != "boolean"}
    types = {name: type_ for name, type_ in types.items() if name in names}
    if not types or not found.rows:
        return {}
    with engine.guarded() as connection:
        profile = profiling.profile(connection, DATA, types, rows=found.rows, written=found.written)
    return {name: c.distribution.edges for name, c in profile.columns.items() if c.distribution}


def _part(
    engine: Engine, found: Inspection, terms: Terms, edges: Mapping[str, Edges], edged_rows: int
) -> PartResults:
    """Collect the results to keep of inspected data, also counted between the baseline's edges."""
    from sluice.quality.engine import DATA, VERSION, part_scan, profiling

    data, baseline = terms.data, terms.baseline
    types = {name: data.columns[name].type for name in found.columns}
    before = baseline.profile.columns if baseline.profile else {}
    wanted = {name: _all_edges(edges.get(name), before.get(name)) for name in types}
    labels = None
    with engine.guarded() as connection:
        columns = part_scan.column_parts(
            connection,
            DATA,
            types,
            of_columns=len(data.columns),
            written=found.written,
            edges=wanted,
        )
        if data.bias is not None:
            labels = profiling.label_counts(connection, DATA, types, data.label, data.bias)
    findings = tuple(
        Found(f.rows, f.by_object, _shown(f, data), found.figures.get(f.check), f.error)
        for f in found.findings
    )
    digest = contract_digest(data, VERSION)
    return PartResults(
        digest,
        found.rows,
        found.object_rows,
        findings,
        found.problems,
        columns,
        edges,
        edged_rows,
        labels,
    )


def _shown(finding: Finding, data: Data) -> tuple[RowRef, ...]:
    """Return the examples without redacted values."""
    if finding.check.column not in data.redact:
        return finding.examples
    return tuple(replace(row, value=None) for row in finding.examples)


def _all_edges(edges: Edges | None, before: ColumnProfile | None) -> list[Edges]:
    known = [before.distribution.edges] if before and before.distribution else []
    return list(dict.fromkeys([*([edges] if edges else []), *known]))


def _measure(engine: Engine, found: Inspection, terms: Terms) -> Statistics:
    """Profile the data, and measure drift and bias if the contract asks for them."""
    from sluice.quality.engine import DATA, profiling

    data, baseline = terms.data, terms.baseline
    types = {name: data.columns[name].type for name in found.columns}
    try:
        with engine.guarded() as connection:
            profile = profiling.profile(
                connection, DATA, types, rows=found.rows, written=found.written, baseline=baseline.profile
            )
            counts = None
            if data.bias is not None:
                counts = profiling.label_counts(connection, DATA, types, data.label, data.bias)
    except biases.TooManyValuesError as error:
        return Statistics(profile, problems=(Violation(None, "bias", str(error), 0),))
    return _compare(profile, counts, terms)


def _compare(
    profile: Profile,
    counts: Sequence[Sequence[biases.LabelCount]] | None,
    terms: Terms,
) -> Statistics:
    """Measure drift from the baseline, and bias by the counted labels."""
    data, baseline = terms.data, terms.baseline
    drift = bias = None
    if data.drift is not None and baseline.profile is not None:
        # Ignore columns that were dropped from the contract.
        before = {name: column for name, column in baseline.profile.columns.items() if name in data.columns}
        of_contract = replace(baseline.profile, columns=before)
        drift = drifts.compare(profile, of_contract, data.drift, baseline.version)
        drift = redaction.redact_drift(drift, data.redact)
    if data.bias is not None and counts is not None:
        bias = redaction.redact_bias(biases.measure(counts, data.label, data.bias), data.redact)
    return Statistics(profile, drift, bias)
