"""The task all contenders get: 20 columns, the rules that hold of them, and what the generated files break.

Standard library only: it is imported in environments that have nothing of ours.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Rules:
    """What must hold of one column."""

    type: str
    required: bool = True
    minimum: Any = None
    maximum: Any = None
    allowed: tuple[Any, ...] = ()
    pattern: str = ""
    max_length: int | None = None
    unique: bool = False


COUNTRIES = ("AT", "BR", "CA", "DE", "FR", "IN", "JP", "NG", "SE", "US")
COLUMNS: Mapping[str, Rules] = {
    "id": Rules("integer", minimum=1, unique=True),
    "customer": Rules("integer", minimum=1, maximum=1_000_000),
    "quantity": Rules("integer", minimum=1, maximum=20),
    "age": Rules("integer", required=False, minimum=0, maximum=120),
    "visits": Rules("integer", minimum=0),
    "rating": Rules("integer", allowed=(1, 2, 3, 4, 5)),
    "price": Rules("number", minimum=0, maximum=10_000),
    "discount": Rules("number", minimum=0, maximum=1),
    "weight": Rules("number", minimum=0),
    "score": Rules("number", required=False, minimum=-10, maximum=10),
    "latitude": Rules("number", minimum=-90, maximum=90),
    "longitude": Rules("number", minimum=-180, maximum=180),
    "country": Rules("string", allowed=COUNTRIES),
    "channel": Rules("string", allowed=("app", "phone", "shop", "web")),
    "status": Rules("string", allowed=("closed", "new", "open", "paid", "sent")),
    "code": Rules("string", pattern="[A-Z]{3}-[0-9]{4}"),
    "email": Rules("string", pattern=".+@.+", max_length=64),
    "comment": Rules("string", required=False, max_length=200),
    "created": Rules("timestamp", minimum="2020-01-01", maximum="2026-12-31"),
    "active": Rules("boolean"),
}
# One row in so many breaks the rule; in each tenth of a million rows an id is repeated once.
PRICE_EVERY, COUNTRY_EVERY, CODE_EVERY, EMAIL_EVERY, ID_EVERY = 1000, 2000, 5000, 4000, 100_000


def planted(rows: int) -> dict[str, int]:
    """Return the rows of a generated file that break a rule, by `<column> <rule>`."""
    return {
        "price maximum": rows // PRICE_EVERY,
        "country allowed": rows // COUNTRY_EVERY,
        "code pattern": rows // CODE_EVERY,
        "email required": rows // EMAIL_EVERY,
        "id unique": rows // ID_EVERY,
    }


@dataclass(frozen=True)
class Answer:
    """What a contender found; `broken` has the rules it counts rows for, `profiled` if it drew a profile."""

    rows: int
    broken: Mapping[str, int]
    rules: int
    profiled: bool


def rules_count() -> int:
    """Return how many rules the task has."""
    return sum(len(rules_of(rules)) for rules in COLUMNS.values())


def rules_of(rules: Rules) -> list[str]:
    """Return the names of the rules a column has."""
    return [
        name
        for name in ("required", "minimum", "maximum", "allowed", "pattern", "max_length", "unique")
        if getattr(rules, name) not in (None, False, "", ())
    ]


def main(solve: Callable[[Path, str], Answer]) -> None:
    """Run as `<contender>.py FILE csv|parquet`; the answer is the last line of standard output."""
    answer = solve(Path(sys.argv[1]), sys.argv[2])
    print(json.dumps(vars(answer)))
