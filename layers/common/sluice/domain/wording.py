"""Write numbers, shares, times and text for people."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from sluice.domain.config.base import ColumnType

TEXT_MAX = 80
# What the states of objects are called.
_OBJECTS = {
    "included": "in the data set",
    "building": "taken up by a run",
    "pending": "waiting",
    "control": "of batches",
    "quarantined": "quarantined",
}
# In the order in which people are told of them.
_CHANGES = ("new", "overwritten", "deleted", "left out")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_S = 86400


def recalled(keys: Sequence[str]) -> str:
    """Say that a model was trained with objects that were recalled."""
    more, were = (f" and {len(keys) - 1} more", "were") if keys[1:] else ("", "was")
    return f"trained with {keys[0]}{more}, which {were} recalled"


def number(value: float | None) -> str:
    """Write four significant digits, with commas; whole numbers in full."""
    if value is None:
        return "none"
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "\u221e" if value > 0 else "\u2212\u221e"
    if value == int(value) and abs(value) < 1e12:
        text = f"{int(value):,}"
    elif 1e-3 <= abs(value) < 1e12:
        digits = max(0, 3 - math.floor(math.log10(abs(value))))
        text = f"{value:,.{digits}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        text = f"{value:.3g}"
    return text.replace("-", "\u2212", 1) if text.startswith("-") else text


def apart(*values: float | Decimal) -> tuple[str, ...]:
    """Write numbers; with all their digits if some would look the same, and are not."""
    shown = tuple(number(float(value)) for value in values)
    if len(set(shown)) == len(set(values)):
        return shown
    return tuple(str(value).replace("-", "\u2212", 1) if value < 0 else str(value) for value in values)


def written(value: object) -> str:
    """Write a value as pipeline.yaml may have it: `true`, `[0.7, 0.3]`, text as it is."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def assigned(values: Mapping[str, object]) -> str:
    """Write named values in a line: `alpha=0.1, penalty=l2`."""
    return ", ".join(f"{name}={written(value)}" for name, value in values.items())


def distance(value: float) -> str:
    """Write a number, but one close to 0 as `< 0.0001`."""
    return "< 0.0001" if 0 < value < 0.0001 else number(value)


def count(value: int, noun: str) -> str:
    """Write `1 row`, `2 rows`."""
    return f"{number(value)} {noun if value == 1 else noun + 's'}"


def changes(counted: Mapping[str, int]) -> str:
    """Write how one set of objects differs from another: `2 objects new, 3 deleted`, always in this order."""
    (first, many), *others = sorted(counted.items(), key=lambda each: _CHANGES.index(each[0]))
    return ", ".join([f"{count(many, 'object')} {first}", *(f"{number(n)} {how}" for how, n in others)])


def objects(status: str) -> str:
    """Write what objects of a status are: `in the data set`, `waiting`."""
    return _OBJECTS.get(status, status)


def share(value: float) -> str:
    """Write a percentage that is 0 or 100 only if it is exactly that."""
    if value in (0, 1):
        return f"{value:.0%}"
    if value < 0.001:
        return "< 0.1%"
    if 0.999 < value < 1:
        return "> 99.9%"
    return f"{value:.1%}"


def chance(value: float) -> str:
    """Write a chance as a percentage that is never 0, and 100 only if it is exactly that."""
    if value == 1:
        return "100%"
    if value > 0.999:
        return "> 99.9%"
    if value < 0.0001:
        return "< 0.01%"
    return f"{value:.1%}" if value >= 0.01 else f"{100 * value:.2g}%"


def size(count: int) -> str:
    """Write a number of bytes in kB or MB, 1 kB at least."""
    return f"{count / 1e6:,.0f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3)):,} kB"


def shorten(text: str, length: int = TEXT_MAX) -> str:
    """Cut text to `length` characters, the last of them an ellipsis."""
    return text if len(text) <= length else text[: length - 1] + "\u2026"


def value_of(type_: ColumnType, value: float, span: float = math.inf) -> str:
    """Write a column's number as its type; times that span days are written as days."""
    if type_ != "timestamp":
        return number(value)
    try:
        moment = _EPOCH + timedelta(seconds=value)
    except OverflowError:
        return number(value)
    return f"{moment:%Y-%m-%d}" if span > 2 * _DAY_S else f"{moment:%Y-%m-%d %H:%M:%S}"
