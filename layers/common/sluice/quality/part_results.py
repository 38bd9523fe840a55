"""Keep the results of a part of the data, so that the whole is judged by reading only what is new.

A part is any files of a data set, such as all of a former version. Results of two parts merge if the checks
allow it: `whole_checks` names those that must see all data at once.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, field, replace
from datetime import datetime
from functools import reduce
from itertools import zip_longest
from typing import Any

from sluice.domain import canonical
from sluice.domain.config.checks import KINDS
from sluice.domain.config.checks.base import NeedsWholeError
from sluice.domain.config.checks.figures import DISTINCT_MAX, merged_values
from sluice.domain.config.models import Data
from sluice.lazy import dataclass
from sluice.quality import validation
from sluice.quality.statistics import column_parts
from sluice.quality.statistics.bias import LabelCount
from sluice.quality.statistics.column_parts import ColumnPart, Edges
from sluice.quality.statistics.profiles import Profile
from sluice.quality.validation import EXAMPLES_MAX, Check, Finding, RowRef, Violation

__all__ = [
    "PART",
    "Found",
    "NeedsWholeError",
    "PartFormatError",
    "PartResults",
    "merge",
    "reading",
    "whole_checks",
]

PART = "part.json"
FORMAT = 3
# So many objects are read at once: one takes up to 4 ms to open, and some 25 ms to fetch, several at a time.
OBJECTS_MAX = 50_000
_NAMED_MAX = 5
# A column's part takes as long as its profile, and with more columns than this most of the time.
COLUMNS_MAX = 200
# Edges are quantiles of earlier data: make them anew when there are twice as many.
_GROWTH_MAX = 2


class PartFormatError(ValueError):
    """Stored results have another format, contract or engine: all data must be read."""


@dataclass(frozen=True, slots=True)
class Found:
    """A check's result in a part; `figure` is plain JSON that determines its value."""

    rows: int
    by_object: Mapping[str, int]
    examples: tuple[RowRef, ...]
    figure: Any = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class PartResults:
    """Results of a part of the data. `found` is in the order of the contract's checks.

    Columns of many numbers are counted between `edges`, which are quantiles of `edged_rows` rows. `labels`
    are the counts of the bias analysis, for each facet. A column is listed if any file has it.
    """

    contract: str
    rows: int
    object_rows: Mapping[str, int]
    found: tuple[Found, ...]
    problems: tuple[Violation, ...]
    columns: Mapping[str, ColumnPart]
    edges: Mapping[str, Edges] = field(default_factory=dict)
    edged_rows: int = 0
    labels: tuple[tuple[LabelCount, ...], ...] | None = None

    @property
    def is_outgrown(self) -> bool:
        """Whether there are so many more data that the edges describe them badly."""
        return self.rows >= _GROWTH_MAX * self.edged_rows

    def findings(self, asked: Sequence[Check], now: datetime | None) -> tuple[Finding, ...]:
        return tuple(
            Finding(check, f.rows, f.examples, _value(check, f, now), f.error, f.by_object)
            for check, f in zip(asked, self.found, strict=True)
        )

    def profile(self, baseline: Profile | None = None, *, omits: bool = False) -> Profile:
        """Return the data's profile, counted between the baseline's edges too; raises NeedsWholeError.

        `omits`: leave out what cannot be counted as the baseline's.
        """
        columns = {
            name: column_parts.profile(part, self.rows, self.edges.get(name))
            for name, part in self.columns.items()
        }
        return Profile(self.rows, columns, dict(self._in_baseline(baseline, omits=omits)))

    def _in_baseline(self, baseline: Profile | None, *, omits: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
        before = {} if baseline is None else baseline.columns
        for name in self.columns.keys() & before.keys():
            try:
                counts = column_parts.in_baseline(self.columns[name], before[name])
            except NeedsWholeError:
                if not omits:
                    raise
                continue
            if counts is not None:
                yield name, counts

    def is_counted_between(self, edges: Mapping[str, Edges]) -> bool:
        """Tell whether the numbers of these columns, if it has any, are counted between these edges."""
        return all(
            part.moments is None or part.values is not None or edges[name] in part.counts
            for name, part in self.columns.items()
            if name in edges
        )

    @property
    def of_older_edges(self) -> frozenset[str]:
        """The columns whose distribution is counted between quantiles of other data."""
        return frozenset(name for name, part in self.columns.items() if part.values is None)

    @property
    def lean(self) -> PartResults:
        """The same with the rows of those objects only that break something, which later verdicts need."""
        breaking = {key for found in self.found for key in found.by_object}
        kept = {key: rows for key, rows in self.object_rows.items() if key in breaking} if breaking else {}
        return replace(self, object_rows=kept)

    def to_json(self, *, keeps_rows: bool = False) -> bytes:
        """Return bytes to store; raises NeedsWholeError for figures that cannot be stored.

        With `keeps_rows` they have the rows of all objects, not only those of objects that break something.
        """
        columns = {name: column_parts.to_dict(part) for name, part in self.columns.items()}
        fields = {item: getattr(self, item) for item in ("contract", "rows", "edged_rows")}
        fields["object_rows"] = (self if keeps_rows else self.lean).object_rows
        stored = {
            "format": FORMAT,
            **fields,
            "found": [asdict(found) for found in self.found],
            "problems": [asdict(problem) for problem in self.problems],
            "columns": columns,
            "edges": self.edges,
            "labels": self.labels and [[_label(row) for row in rows] for rows in self.labels],
        }
        try:
            return json.dumps(stored, allow_nan=False, separators=(",", ":")).encode()
        except ValueError:
            raise NeedsWholeError("a figure is no finite number") from None

    @classmethod
    def from_json(cls, text: bytes, contract: str) -> PartResults:
        """Parse what `to_json` wrote; raises PartFormatError if the contract or the format differ."""
        try:
            stored = json.loads(text)
            labels = stored["labels"]
            if (stored["format"], stored["contract"]) != (FORMAT, contract):
                raise PartFormatError("are of another format or contract")
            return cls(
                contract,
                stored["rows"],
                stored["object_rows"],
                tuple(map(_found, stored["found"])),
                tuple(map(Violation.of, stored["problems"])),
                {name: column_parts.of_dict(fields) for name, fields in stored["columns"].items()},
                {name: tuple(edges) for name, edges in stored["edges"].items()},
                stored["edged_rows"],
                labels and tuple(tuple(LabelCount(*row) for row in rows) for rows in labels),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, PartFormatError):
                raise
            raise PartFormatError("are no results of a part") from error


def contract_digest(data: Data, engine: str) -> str:
    """Digest what mergeable results have in common: the contract, and the engine that hashes values."""
    return canonical.digest({"format": FORMAT, "engine": engine, "data": data.model_dump(mode="json")})


def whole_checks(data: Data) -> tuple[str, ...]:
    """List what must see all data at once, by its names in reports."""
    named = [_called(check) for check in validation.checks(data) if KINDS[check.kind].needs_whole]
    if data.drift is not None and data.drift.method == "wasserstein":
        # It needs quantiles of exactly these data.
        named.append("drift by wasserstein")
    if len(data.columns) > COLUMNS_MAX:
        named.append(f"more than {COLUMNS_MAX} columns")
    return tuple(named)


def reading(data: Data) -> tuple[str, ...]:
    """Warn of a contract in mode append whose checks read all data for each build, now or once they grew."""
    if data.mode != "append":
        return ()
    told = []
    if names := whole_checks(data):
        told.append(
            f"each build reads the whole data set, not only what is new, for {_listed(names)}: "
            f"that cannot be told from parts of it. More than {OBJECTS_MAX:,} objects are rejected"
        )
    if counting := _counting(data):
        told.append(
            f"once a column has more than {DISTINCT_MAX:,} different values, each build reads the whole data "
            f"set for {_listed(counting)}, and more than {OBJECTS_MAX:,} objects are rejected"
        )
    return tuple(told)


def _counting(data: Data) -> list[str]:
    """List what counts different values, unless many would break it anyway."""
    counting = [check for check in validation.checks(data) if KINDS[check.kind].merge is merged_values]
    return [_called(check) for check in counting if not _is_of_few(check)]


def _is_of_few(check: Check) -> bool:
    most = check.limit[1] if check.kind == "distinct_count" else None
    return most is not None and most <= DISTINCT_MAX


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
    return ", ".join(names[:_NAMED_MAX]) + more


def _called(check: Check) -> str:
    if check.kind == "sql":
        return f"sql {check.limit!r}"
    return f"{check.kind} of {check.column}" if check.column else check.kind


def merge(some: PartResults, others: PartResults, asked: Sequence[Check]) -> PartResults:
    """Merge two parts, the first before the second; raises NeedsWholeError."""
    if some.contract != others.contract:
        raise NeedsWholeError("the parts are of different contracts")
    found = [_merge_found(check, a, b) for check, a, b in zip(asked, some.found, others.found, strict=True)]
    return replace(
        some,
        rows=some.rows + others.rows,
        object_rows={**some.object_rows, **others.object_rows},
        found=tuple(found),
        problems=(*some.problems, *others.problems),
        columns=dict(_merge_columns(some, others)),
        edges={**others.edges, **some.edges},
        labels=_merge_labels(some, others),
    )


def _merge_found(check: Check, some: Found, others: Found) -> Found:
    combine = KINDS[check.kind].merge
    return Found(
        some.rows + others.rows,
        {**some.by_object, **others.by_object},
        (*some.examples, *others.examples)[:EXAMPLES_MAX],
        None if combine is None else combine(some.figure, others.figure),
        some.error or others.error,
    )


def _merge_columns(some: PartResults, others: PartResults) -> Iterator[tuple[str, ColumnPart]]:
    """Merge the columns of both parts: in a part that lacks a column, all rows are without a value."""
    for name in {**some.columns, **others.columns}:
        there = [part.columns[name] for part in (some, others) if name in part.columns]
        yield name, reduce(column_parts.merge, there)


def _merge_labels(some: PartResults, others: PartResults) -> tuple[tuple[LabelCount, ...], ...] | None:
    if some.labels is None or others.labels is None:
        return None
    return tuple(
        tuple(_add_labels((*here, *there)))
        for here, there in zip_longest(some.labels, others.labels, fillvalue=())
    )


def _add_labels(counted: Sequence[LabelCount]) -> Iterator[LabelCount]:
    rows: Counter[tuple[Any, Any, str | None]] = Counter()
    for row in counted:
        rows[row.facet, row.label, row.group] += row.rows
    # Order as the engine does: no group comes last.
    for facet, label, group in sorted(rows, key=lambda key: (key[0], key[1], key[2] is None, key[2] or "")):
        yield LabelCount(facet, label, group, rows[facet, label, group])


def _value(check: Check, found: Found, now: datetime | None) -> Any:
    return KINDS[check.kind].value(found.figure, now)


def _found(fields: Mapping[str, Any]) -> Found:
    examples = tuple(RowRef(**row) for row in fields["examples"])
    return Found(fields["rows"], fields["by_object"], examples, fields["figure"], fields["error"])


def _label(row: LabelCount) -> list[Any]:
    return [row.facet, row.label, row.group, row.rows]
