"""pointblank over polars: a plan of steps, without extracts; it has no profile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pointblank as pb
import polars as pl
from polars_frame import bound, load
from task import COLUMNS, Answer, Rules, main, rules_of


def add(plan: Any, name: str, rule: str, rules: Rules) -> Any:
    match rule:
        case "required":
            return plan.col_vals_not_null(name)
        case "minimum":
            return plan.col_vals_ge(name, bound(rules, rules.minimum), na_pass=True)
        case "maximum":
            return plan.col_vals_le(name, bound(rules, rules.maximum), na_pass=True)
        case "allowed":
            # A set has no place for a missing value, which is another rule's.
            return plan.col_vals_expr(pl.col(name).is_in(list(rules.allowed)) | pl.col(name).is_null())
        case "pattern":
            return plan.col_vals_regex(name, f"^(?:{rules.pattern})$", na_pass=True)
        case "max_length":
            return plan.col_vals_expr(
                (pl.col(name).str.len_chars() <= rules.max_length) | pl.col(name).is_null()
            )
        case _:
            return plan.rows_distinct(columns_subset=name)


def solve(path: Path, data_format: str) -> Answer:
    frame = load(path, data_format)
    plan, labels = pb.Validate(frame), []
    for name, rules in COLUMNS.items():
        for rule in rules_of(rules):
            plan = add(plan, name, rule, rules)
            labels.append(f"{name} {rule}")
    failed = plan.interrogate(collect_extracts=False).n_failed()
    broken = {label: int(failed[step]) for step, label in enumerate(labels, start=1)}
    # Of a value that occurs twice it counts both rows.
    broken["id unique"] //= 2
    return Answer(len(frame), {label: n for label, n in broken.items() if n}, len(labels), profiled=False)


if __name__ == "__main__":
    main(solve)
