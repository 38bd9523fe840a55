"""A data set's profile: what is kept of each column, so that later data can be compared without the rows.

A distribution is kept as exact counts between edges. The edges are quantiles (percentiles and a finer grid in
both tails), or every value there is where those are few; whatever the edges are, the counts are exact.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from itertools import accumulate
from typing import Any

from sluice.domain import canonical
from sluice.domain.config.base import ColumnType

# The document that holds it, beside the data set's manifest.
PROFILE = "profile.json"
TAIL_SHARES = (Fraction(1, 1000), Fraction(1, 400), Fraction(1, 200))
EDGE_SHARES = (
    *TAIL_SHARES,
    *(Fraction(percent, 100) for percent in range(1, 100)),
    *(1 - share for share in reversed(TAIL_SHARES)),
)
# A number with at most so many values is kept value by value.
DISCRETE_MAX = 100
# A string with more values, or hardly any value twice, is text: its lengths are kept, not its values.
CATEGORICAL_MAX = 1000
# All of them: those that are the most frequent by chance would be less frequent in any later data.
CATEGORIES_MAX = CATEGORICAL_MAX
_DIGITS = 10
_VERSION = 1


class ProfileFormatError(ValueError):
    """A stored profile is of another format than is read, or none; the message is a predicate of its file."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Numbers (a timestamp is seconds since 1970, a text its length).

    `counts[i]` is how many values are in (edges[i - 1], edges[i]]; the first bin has no lower edge and the
    last no upper one. `is_discrete`: the edges are all values there are. `std` is the population's.
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
    """One column. `present` values are of its type, `invalid` ones are not; `missing` rows have none.

    `distinct` counts present values, and is an estimate unless `distinct_is_exact`. A string has
    `categories`, unless it is text, and a `distribution` of its lengths; a boolean has `categories`, any
    other type a `distribution`.
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
    """A data set's columns that are there, by name.

    `in_baseline` is not stored: for a column of numbers, its values counted between the edges of the baseline
    that the scan was given; for one of categories, the counts of the baseline's categories.
    """

    rows: int
    columns: Mapping[str, ColumnProfile]
    in_baseline: Mapping[str, tuple[int, ...]] = field(default_factory=dict, compare=False)

    def to_json(self) -> bytes:
        """The canonical spelling: equal data have equal bytes, however many threads counted them."""
        columns = {name: asdict(column) for name, column in self.columns.items()}
        return canonical.to_json({"version": _VERSION, "rows": self.rows, "columns": columns})

    @classmethod
    def from_json(cls, text: bytes | str) -> Profile:
        """Read what `to_json` wrote; raises ProfileFormatError."""
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
    """Whether a string's values are categories, each of them twice on average, or text."""
    return 0 < distinct <= CATEGORICAL_MAX and distinct * 2 <= present


def categories_of(counts: Mapping[str, int], other: int = 0) -> Categories:
    """Keep the most frequent values; of equally frequent ones the first in order."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    kept = dict(ranked[:CATEGORIES_MAX])
    return Categories(kept, other + sum(counts.values()) - sum(kept.values()))


def quantile_edges(values: Mapping[float, int]) -> tuple[float, ...]:
    """The values, given with their counts, at which the shares of EDGE_SHARES are reached."""
    ordered = sorted(values)
    below = list(accumulate(values[value] for value in ordered))
    total = below[-1] if below else 0
    # The ceilings of shares of the total, in integers.
    wanted = (-(-share.numerator * total // share.denominator) for share in EDGE_SHARES) if below else ()
    return tuple(dict.fromkeys(ordered[bisect_left(below, count)] for count in wanted))


def bin_counts(values: Mapping[float, int], edges: Sequence[float]) -> tuple[int, ...]:
    """Count the values, given with their counts, between the edges."""
    counts = [0] * (len(edges) + 1)
    for value, count in values.items():
        counts[bisect_left(edges, value)] += count
    return tuple(counts)


def rounded(value: float, scale: float) -> float:
    """Leave out the digits that the order of a sum decides, far below the scale of the values."""
    if scale <= 0 or not math.isfinite(scale):
        return value
    try:
        kept: float = round(value, _DIGITS - 1 - math.floor(math.log10(scale)))
    except OverflowError:
        # Up from as much as a number can be.
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
