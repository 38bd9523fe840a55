"""The space of a tuning job's hyperparameters, and the points that a strategy takes of it.

A point is what a training job gets: text by name. The same seed draws the same points.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

Point = dict[str, str]

# Draws that only repeat what was drawn end: a small space has no more.
_DRAWS_FOR_EACH = 100
_MOST_POINTS = 10_000


class SpaceError(ValueError):
    """The ranges cannot be searched; the message names the hyperparameter and what was expected."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """A range of a ContinuousParameterRange or IntegerParameterRange."""

    name: str
    least: float
    greatest: float
    scaling: str = "Linear"
    is_integer: bool = False

    def draw(self, share: float) -> str:
        """Return the value at a share, from 0 to below 1, of the range as it is scaled."""
        if not self.is_integer:
            return repr(min(max(self._scaled(share, self.least, self.greatest), self.least), self.greatest))
        # Each integer is the middle of an interval of length 1, so that the ends come as often as others.
        value = round(self._scaled(share, self.least - 0.5, self.greatest + 0.5))
        return str(int(min(max(value, self.least), self.greatest)))

    def _scaled(self, share: float, low: float, high: float) -> float:
        if self.scaling == "Logarithmic":
            return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        if self.scaling == "ReverseLogarithmic":
            return 1 - math.exp(math.log(1 - low) + share * (math.log(1 - high) - math.log(1 - low)))
        return low + share * (high - low)


@dataclass(frozen=True, slots=True)
class Choice:
    """The values of a CategoricalParameterRange."""

    name: str
    values: tuple[str, ...]

    def draw(self, share: float) -> str:
        return self.values[int(share * len(self.values))]


Range = Numbers | Choice


def read(ranges: Mapping[str, Any]) -> list[Range]:
    """Read ParameterRanges; raises SpaceError."""
    if ranges.get("AutoParameters"):
        raise SpaceError("AutoParameters (Autotune) are not run locally: give ranges")
    kinds = [ranges.get(f"{kind}ParameterRanges") or [] for kind in ("Continuous", "Integer", "Categorical")]
    found: list[Range] = [_numbers(item, is_integer=False) for item in kinds[0]]
    found += [_numbers(item, is_integer=True) for item in kinds[1]]
    found += [Choice(item["Name"], tuple(item["Values"])) for item in kinds[2]]
    if not found:
        raise SpaceError("there is no range to search")
    names = [one.name for one in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise SpaceError(f"{twice} has two ranges")
    return found


def _numbers(item: Mapping[str, str], *, is_integer: bool) -> Numbers:
    name, scaling = item["Name"], item.get("ScalingType") or "Auto"
    try:
        number = int if is_integer else float
        least, greatest = number(item["MinValue"]), number(item["MaxValue"])
        if not math.isfinite(float(greatest) - float(least)):
            raise ValueError("infinite")
    except (ValueError, OverflowError) as error:
        kind = "integers" if is_integer else "numbers"
        raise SpaceError(f"{name}: MinValue and MaxValue must be {kind}") from error
    if not least <= greatest:
        raise SpaceError(f"{name}: MinValue {item['MinValue']} must not exceed MaxValue {item['MaxValue']}")
    if scaling == "Logarithmic" and least <= 0:
        raise SpaceError(f"{name}: the scaling Logarithmic needs a MinValue above 0, not {item['MinValue']}")
    if scaling == "ReverseLogarithmic" and (is_integer or not 0 <= least <= greatest < 1):
        raise SpaceError(f"{name}: the scaling ReverseLogarithmic needs numbers from 0 to below 1")
    return Numbers(name, least, greatest, "Linear" if scaling == "Auto" else scaling, is_integer)


def grid(ranges: Sequence[Range]) -> list[Point]:
    """Return every combination, the last name varying fastest; raises SpaceError for numbers."""
    if numbers := [one.name for one in ranges if isinstance(one, Numbers)]:
        raise SpaceError(f"the strategy Grid takes categorical hyperparameters, and {numbers[0]} is none")
    choices = [one for one in ranges if isinstance(one, Choice)]
    if (count := math.prod(len(one.values) for one in choices)) > _MOST_POINTS:
        raise SpaceError(
            f"the strategy Grid takes at most {_MOST_POINTS:,} combinations, and these are {count:,}"
        )
    return [
        dict(zip([one.name for one in choices], values, strict=True))
        for values in product(*(one.values for one in choices))
    ]


def drawn(ranges: Sequence[Range], seed: str | int) -> Iterator[Point]:
    """Yield random points for ever, as long as there are new ones without a repetition."""
    source, known = random.Random(seed), set()  # noqa: S311 - it chooses, and hides nothing
    while True:
        for _ in range(_DRAWS_FOR_EACH):
            point = {one.name: one.draw(source.random()) for one in ranges}
            key = tuple(point.values())
            if key not in known:
                break
        known.add(key)
        yield point
