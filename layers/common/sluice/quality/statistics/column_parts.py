"""Keep a column's results in a part of the data, which merge into the profile of all parts.

Counts, least and greatest values, few values, and counts between given edges merge exactly; moments merge up
to rounding. The number of many distinct values is estimated from the least hashes, which merge exactly
(Bar-Yossef and others, 2002, "Counting distinct elements in a data stream").
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from sluice.domain.config.base import ColumnType
from sluice.domain.config.checks.base import NeedsWholeError
from sluice.lazy import dataclass
from sluice.quality.statistics.profiles import (
    CATEGORICAL_MAX,
    DISCRETE_MAX,
    Categories,
    ColumnProfile,
    Distribution,
    bin_counts,
    categories_of,
    is_categorical,
    quantile_edges,
    rounded,
)

Edges = tuple[float, ...]
_HASHES = 2**64
_CHARACTERS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Moments:
    """The moments of at least one number; `std` is the population's."""

    min: float
    max: float
    mean: float
    std: float


@dataclass(frozen=True, slots=True)
class ColumnPart:
    """A column in a part of the data.

    `written` cells are not empty, `present` ones have its type. `values` are all values with their counts, as
    long as there are few (a timestamp is seconds since 1970). `hashes` are the least hashes of different
    values, at most `hashes_max`. `counts` are the numbers between edges.
    """

    type: ColumnType
    written: int
    present: int
    values: Mapping[Any, int] | None
    hashes: tuple[int, ...]
    hashes_max: int
    moments: Moments | None = None
    counts: Mapping[Edges, tuple[int, ...]] = field(default_factory=dict)

    @property
    def distinct(self) -> int:
        """The number of different values, possibly an estimate."""
        if self.values is not None:
            return len(self.values)
        if self.distinct_is_exact:
            return len(self.hashes)
        return min(self.present, round((len(self.hashes) - 1) * _HASHES / self.hashes[-1]))

    @property
    def distinct_is_exact(self) -> bool:
        return self.values is not None or len(self.hashes) < self.hashes_max

    @property
    def numbers(self) -> Mapping[float, int] | None:
        """The numbers of the distribution with their counts, if all values are known."""
        if self.values is None:
            return None
        numbers: Counter[float] = Counter()
        for value, count in self.values.items():
            numbers[float(len(value)) if isinstance(value, str) else float(value)] += count
        return numbers

    def counted(self, edges: Edges) -> tuple[int, ...]:
        """Return the counts between the edges; raises NeedsWholeError if they are unknown."""
        if (numbers := self.numbers) is not None:
            return bin_counts(numbers, edges)
        if edges not in self.counts:
            raise NeedsWholeError("values were not counted between these edges")
        return self.counts[edges]


def few(type_: ColumnType) -> int:
    """Return up to how many different values count as few."""
    return CATEGORICAL_MAX if type_ in {"string", "boolean"} else DISCRETE_MAX


def are_few(type_: ColumnType, values: Collection[Any]) -> bool:
    """Tell whether there are so few and so short values that all are kept."""
    if len(values) > few(type_):
        return False
    return type_ != "string" or sum(map(len, values)) <= _CHARACTERS_MAX


def without_text(part: ColumnPart, of: ColumnPart | None = None) -> ColumnPart:
    """Remove a column's values if they are text, which a profile does not keep either.

    In few rows categories look like text: they are kept if together with those `of` more rows they do not.
    """
    if part.type != "string" or not part.values or is_categorical(part.present, len(part.values)):
        return part
    known = of.values if of is not None else None
    if of is not None and known is not None and is_categorical(of.present, len({*known, *part.values})):
        return part
    return replace(part, values=None)


def merge(some: ColumnPart, others: ColumnPart) -> ColumnPart:
    """Merge a column's two parts."""
    if some.type != others.type or some.hashes_max != others.hashes_max:
        raise NeedsWholeError("the parts are of different contracts")
    values = _merged_values(some, others)
    hashes = tuple(sorted({*some.hashes, *others.hashes})[: some.hashes_max])
    return ColumnPart(
        some.type,
        some.written + others.written,
        some.present + others.present,
        values,
        hashes,
        some.hashes_max,
        _merged_moments(some, others),
        _merged_counts(some, others),
    )


def _merged_values(some: ColumnPart, others: ColumnPart) -> Mapping[Any, int] | None:
    if some.values is None or others.values is None:
        return None
    values = Counter(some.values)
    values.update(others.values)
    return values if are_few(some.type, values) else None


def _merged_moments(some: ColumnPart, others: ColumnPart) -> Moments | None:
    if some.moments is None or others.moments is None:
        return some.moments or others.moments
    a, b = some.moments, others.moments
    share = others.present / (some.present + others.present)
    gap = b.mean - a.mean
    # Not ** 2, which raises where a product is infinite.
    variance = a.std * a.std * (1 - share) + b.std * b.std * share + gap * gap * share * (1 - share)
    mean = a.mean + gap * share
    if not math.isfinite(mean) or not math.isfinite(variance):
        raise NeedsWholeError("the values are beyond what their moments can be added up of")
    return Moments(min(a.min, b.min), max(a.max, b.max), mean, math.sqrt(variance))


def _merged_counts(some: ColumnPart, others: ColumnPart) -> dict[Edges, tuple[int, ...]]:
    """Merge the counts between edges that both parts have or can compute."""
    merged = {}
    for edges in {**some.counts, **others.counts}:
        try:
            pairs = zip(some.counted(edges), others.counted(edges), strict=True)
        except NeedsWholeError:
            continue
        merged[edges] = tuple(a + b for a, b in pairs)
    return merged


def profile(part: ColumnPart, rows: int, edges: Edges | None) -> ColumnProfile:
    """Make the column's profile for `rows` rows; `edges` are for many different numbers."""
    return ColumnProfile(
        type=part.type,
        present=part.present,
        missing=rows - part.written,
        invalid=part.written - part.present,
        distinct=part.distinct,
        distinct_is_exact=part.distinct_is_exact,
        distribution=_distribution(part, edges),
        categories=_categories(part),
    )


def in_baseline(part: ColumnPart, before: ColumnProfile) -> tuple[int, ...] | None:
    """Count the values as the baseline's: by its categories, or between its edges."""
    if before.type != part.type:
        return None
    if before.categories is not None:
        if part.values is None:
            raise NeedsWholeError("the baseline's categories were not counted")
        counts = {spelled(value): count for value, count in part.values.items()}
        return tuple(counts.get(name, 0) for name in before.categories.counts)
    if before.distribution is None:
        return None
    if before.distribution.is_discrete and part.values is None:
        raise NeedsWholeError("what lies between the baseline's values was not counted")
    return part.counted(before.distribution.edges)


def spelled(value: Any) -> str:
    """Write a value as a category, as a contract spells it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _distribution(part: ColumnPart, edges: Edges | None) -> Distribution | None:
    if part.moments is None:
        return None
    numbers, found = part.numbers, part.moments
    is_discrete = numbers is not None and len(numbers) <= DISCRETE_MAX
    if numbers is not None:
        edges = tuple(sorted(numbers)) if is_discrete else quantile_edges(numbers)
    if edges is None:
        raise NeedsWholeError("there are no edges to count between")
    scale = max(abs(found.mean), found.std)
    return Distribution(
        # 0.0 and -0.0 are equal: without this the order of rows would decide.
        min=found.min + 0.0,
        max=found.max + 0.0,
        mean=rounded(found.mean, scale),
        std=rounded(found.std, scale),
        edges=tuple(edge + 0.0 for edge in edges),
        counts=part.counted(edges),
        is_discrete=is_discrete,
    )


def _categories(part: ColumnPart) -> Categories | None:
    if part.values is None or part.type not in {"string", "boolean"}:
        return None
    if part.type == "string" and not is_categorical(part.present, len(part.values)):
        return None
    return categories_of({spelled(value): count for value, count in part.values.items()})


def to_dict(part: ColumnPart) -> dict[str, Any]:
    """Return plain JSON values."""
    moments = part.moments
    return {
        "type": part.type,
        "written": part.written,
        "present": part.present,
        "values": None if part.values is None else _pairs(part.values),
        "hashes": list(part.hashes),
        "hashes_max": part.hashes_max,
        "moments": moments and [moments.min, moments.max, moments.mean, moments.std],
        "counts": _pairs(part.counts),
    }


def of_dict(fields: Mapping[str, Any]) -> ColumnPart:
    """Parse what `to_dict` wrote."""
    values, moments = fields["values"], fields["moments"]
    return ColumnPart(
        fields["type"],
        fields["written"],
        fields["present"],
        None if values is None else dict(values),
        tuple(fields["hashes"]),
        fields["hashes_max"],
        None if moments is None else Moments(*moments),
        {tuple(edges): tuple(counts) for edges, counts in fields["counts"]},
    )


def _pairs(mapping: Mapping[Any, Any]) -> list[Sequence[Any]]:
    return [[key, value] for key, value in mapping.items()]
