"""A data set's profile: the statistics of each column, for comparing later data without the rows.

A distribution has exact counts between edges. The edges are quantiles (percentiles, and a finer grid in both
tails), or all values if there are few.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field
from fractions import Fraction
from itertools import accumulate
from typing import Any

from sluice.domain import canonical
from sluice.domain.config.base import ColumnType
from sluice.lazy import dataclass

# The profile's document, beside the data set's manifest.
PROFILE = "profile.json"
TAIL_SHARES = (Fraction(1, 1000), Fraction(1, 400), Fraction(1, 200))
EDGE_SHARES = (
    *TAIL_SHARES,
    *(Fraction(percent, 100) for percent in range(1, 100)),
    *(1 - share for share in reversed(TAIL_SHARES)),
)
# Numbers with at most so many different values are stored value by value.
DISCRETE_MAX = 100
# Strings with more values, or with hardly any value twice, are text: store their lengths, not their values.
CATEGORICAL_MAX = 1000
# Store all: the most frequent ones may be so by chance, and would be less frequent in later data.
CATEGORIES_MAX = CATEGORICAL_MAX
_DIGITS = 10
_VERSION = 1


class ProfileFormatError(ValueError):
    """A stored profile has an unsupported format; the message is a predicate of its file."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Numbers (a timestamp is seconds since 1970, a text its length).

    `counts[i]` is the number of values in (edges[i - 1], edges[i]]; the first bin has no lower edge and the
    last no upper one. `is_discrete`: the edges are all values. `std` is the population's.
    """

    min: float
    max: float
    mean: float
    std: float
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    is_discrete: bool

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Categories:
    """The most frequent values with their counts, most frequent first, and the count of all others."""

    counts: Mapping[str, int]
    other: int

    @property
    def is_complete(self) -> bool:
        return self.other == 0

    @property
    def total(self) -> int:
        return sum(self.counts.values()) + self.other


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column. `present` values have its type, `invalid` ones do not; `missing` rows have no value.

    `distinct` is the number of different present values, an estimate unless `distinct_is_exact`. A string has
    a `distribution` of its lengths, and `categories` unless it is text; a boolean has `categories`; any other
    type has a `distribution`.
    """

    type: ColumnType
    present: int
    missing: int
    invalid: int
    distinct: int
    distinct_is_exact: bool
    distribution: Distribution | None = None
    categories: Categories | None = None

    @property
    def rows(self) -> int:
        return self.present + self.missing + self.invalid

    @property
    def missing_rate(self) -> float:
        return self.missing / self.rows if self.rows else 0.0


@dataclass(frozen=True, slots=True)
class Profile:
    """The existing columns of a data set, by name.

    `in_baseline` is not stored: for numbers it counts the values between the edges of the scan's baseline;
    for categories it counts the baseline's categories.
    """

    rows: int
    columns: Mapping[str, ColumnProfile]
    in_baseline: Mapping[str, tuple[int, ...]] = field(default_factory=dict, compare=False)

    def to_json(self) -> bytes:
        """Write canonical JSON: equal data have equal bytes, however many threads counted them."""
        columns = {name: asdict(column) for name, column in self.columns.items()}
        return canonical.to_json({"version": _VERSION, "rows": self.rows, "columns": columns})

    @classmethod
    def from_json(cls, text: bytes | str) -> Profile:
        """Parse what `to_json` wrote; raises ProfileFormatError."""
        try:
            stored = json.loads(text)
            version = stored["version"]
            if version != _VERSION:
                raise ProfileFormatError(f"is a profile of format {version!r}, and {_VERSION} is read")
            return cls(stored["rows"], {name: _column(fields) for name, fields in stored["columns"].items()})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, ProfileFormatError):
                raise
            raise ProfileFormatError("is no profile.json") from error


def is_categorical(present: int, distinct: int) -> bool:
    """Tell whether a string's values are categories, each occurring twice on average, or text."""
    return 0 < distinct <= CATEGORICAL_MAX and distinct * 2 <= present


def categories_of(counts: Mapping[str, int], other: int = 0) -> Categories:
    """Keep the most frequent values; of equally frequent ones the first when sorted."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    kept = dict(ranked[:CATEGORIES_MAX])
    return Categories(kept, other + sum(counts.values()) - sum(kept.values()))


def quantile_edges(values: Mapping[float, int]) -> tuple[float, ...]:
    """Return the values, given with their counts, that reach the shares of EDGE_SHARES."""
    ordered = sorted(values)
    below = list(accumulate(values[value] for value in ordered))
    total = below[-1] if below else 0
    # Round shares of the total up, in integers.
    wanted = (-(-share.numerator * total // share.denominator) for share in EDGE_SHARES) if below else ()
    return tuple(dict.fromkeys(ordered[bisect_left(below, count)] for count in wanted))


def bin_counts(values: Mapping[float, int], edges: Sequence[float]) -> tuple[int, ...]:
    """Count the values, given with their counts, between the edges."""
    counts = [0] * (len(edges) + 1)
    for value, count in values.items():
        counts[bisect_left(edges, value)] += count
    return tuple(counts)


def rounded(value: float, scale: float) -> float:
    """Drop the digits that depend on the order of a sum, far below the scale of the values."""
    if scale <= 0 or not math.isfinite(scale):
        return value
    try:
        kept: float = round(value, _DIGITS - 1 - math.floor(math.log10(scale)))
    except OverflowError:
        # Rounding up would exceed a float's range.
        return value
    return kept + 0.0


def _column(fields: Mapping[str, Any]) -> ColumnProfile:
    distribution, categories = fields["distribution"], fields["categories"]
    if distribution is not None:
        lists = {name: tuple(distribution[name]) for name in ("edges", "counts")}
        distribution = Distribution(**{**distribution, **lists})
    if categories is not None:
        categories = categories_of(categories["counts"], categories["other"])
    return ColumnProfile(**{**fields, "distribution": distribution, "categories": categories})
