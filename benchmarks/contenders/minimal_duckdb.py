"""DuckDB's own minimal pass: the task's rules and profile, written by hand for these files and no others."""

from __future__ import annotations

from pathlib import Path

import duckdb
from floor_duckdb import relation
from task import COLUMNS, Answer, Rules, main, rules_count, rules_of


def condition(name: str, rule: str, rules: Rules) -> str:
    """Return when a row breaks the rule."""
    match rule:
        case "required":
            return f"{name} IS NULL"
        case "minimum" | "maximum":
            sign = "<" if rule == "minimum" else ">"
            limit = getattr(rules, rule)
            return f"{name} {sign} " + (f"TIMESTAMP '{limit}'" if rules.type == "timestamp" else str(limit))
        case "allowed":
            return f"{name} NOT IN {rules.allowed}"
        case "pattern":
            return f"NOT regexp_full_match({name}, '{rules.pattern}')"
        case _:
            return f"length({name}) > {rules.max_length}"


def statistics(name: str, rules: Rules) -> list[str]:
    shape = {"string": f"length({name})", "timestamp": f"epoch({name})", "boolean": f"{name}::INTEGER"}
    number = shape.get(rules.type, name)
    return [
        *(f"{function}({number})" for function in ("min", "max", "avg", "stddev_pop")),
        f"approx_count_distinct({name})",
        f"approx_quantile({number}, [.01, .05, .25, .5, .75, .95, .99])",
    ]


def solve(path: Path, data_format: str) -> Answer:
    source = relation(path, data_format)
    database = duckdb.connect(config={"memory_limit": "600MB", "temp_directory": str(path.parent / "spill")})
    asked = [
        (f"{name} {rule}", condition(name, rule, rules))
        for name, rules in COLUMNS.items()
        for rule in rules_of(rules)
        if rule != "unique"
    ]
    counts = [f"count(*) FILTER (WHERE {sql})" for _, sql in asked]
    profile = [sql for name, rules in COLUMNS.items() for sql in statistics(name, rules)]
    query = f"SELECT count(*), {', '.join(counts + profile)} FROM {source}"  # noqa: S608
    ((rows, *values),) = database.execute(query).fetchall()
    broken = {label: count for (label, _), count in zip(asked, values, strict=False) if count}
    ((broken["id unique"],),) = database.execute(
        f"SELECT count(id) - count(DISTINCT id) FROM {source}"  # noqa: S608
    ).fetchall()
    for name, rules in COLUMNS.items():
        if rules.allowed:
            database.execute(f"SELECT {name}, count(*) FROM {source} GROUP BY ALL").fetchall()  # noqa: S608
    return Answer(rows, broken, rules_count(), profiled=True)


if __name__ == "__main__":
    main(solve)
