"""pandera over polars: one schema, every failure collected; it has no profile."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandera.polars as pa
from polars_frame import DTYPES, bound, load
from task import COLUMNS, Answer, Rules, main, rules_count

# What pandera calls its own checks.
RULES = {
    "not_nullable": "required",
    "field_uniqueness": "unique",
    "greater_than_or_equal_to": "minimum",
    "less_than_or_equal_to": "maximum",
    "isin": "allowed",
    "str_matches": "pattern",
    "str_length": "max_length",
}


def column(rules: Rules) -> pa.Column:
    checks = []
    if rules.minimum is not None:
        checks.append(pa.Check.ge(bound(rules, rules.minimum)))
    if rules.maximum is not None:
        checks.append(pa.Check.le(bound(rules, rules.maximum)))
    if rules.allowed:
        checks.append(pa.Check.isin(list(rules.allowed)))
    if rules.pattern:
        checks.append(pa.Check.str_matches(f"^(?:{rules.pattern})$"))
    if rules.max_length is not None:
        checks.append(pa.Check.str_length(max_value=rules.max_length))
    return pa.Column(DTYPES[rules.type], checks, nullable=not rules.required, unique=rules.unique)


def label(name: str, check: str) -> str:
    """Our name of a check of pandera's."""
    return f"{name} {RULES[check.partition('(')[0]]}"


def solve(path: Path, data_format: str) -> Answer:
    frame = load(path, data_format)
    schema = pa.DataFrameSchema({name: column(rules) for name, rules in COLUMNS.items()})
    broken: Counter[str] = Counter()
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        broken.update(label(row["column"], row["check"]) for row in errors.failure_cases.to_dicts())
    # Of a value that occurs twice it counts both rows.
    if "id unique" in broken:
        broken["id unique"] //= 2
    return Answer(len(frame), dict(broken), rules_count(), profiled=False)


if __name__ == "__main__":
    main(solve)
