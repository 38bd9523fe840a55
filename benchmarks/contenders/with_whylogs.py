"""whylogs over a pandas frame: its profile, with a condition counted for each rule about single values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import whylogs as why
from task import COLUMNS, Answer, Rules, main, rules_of
from whylogs.core.metrics.condition_count_metric import Condition, ConditionCountConfig, ConditionCountMetric
from whylogs.core.relations import Predicate
from whylogs.core.resolvers import STANDARD_RESOLVER, MetricSpec, ResolverSpec
from whylogs.core.schema import DeclarativeSchema
from with_pandas import load


def holds(rule: str, rules: Rules) -> Callable[[Any], bool]:
    """Return the rule's test; a missing value passes all but `required`, which the profile counts."""
    match rule:
        case "minimum":
            return lambda value: pd.isna(value) or value >= rules.minimum
        case "maximum":
            return lambda value: pd.isna(value) or value <= rules.maximum
        case "allowed":
            allowed = frozenset(rules.allowed)
            return lambda value: pd.isna(value) or value in allowed
        case _:
            return lambda value: pd.isna(value) or len(value) <= rules.max_length


def conditions(rules: Rules) -> Mapping[str, Condition]:
    found = {}
    for rule in rules_of(rules):
        if rule == "pattern":
            found[rule] = Condition(Predicate().fullmatch(rules.pattern))
        elif rule not in ("required", "unique") and rules.type != "timestamp":
            found[rule] = Condition(Predicate().is_(holds(rule, rules)))
    return found


def schema() -> tuple[DeclarativeSchema, int]:
    """Return the standard profile with our conditions, and how many these are."""
    wanted = {name: found for name, rules in COLUMNS.items() if (found := conditions(rules))}
    specs = [
        ResolverSpec(
            column_name=name,
            metrics=[MetricSpec(ConditionCountMetric, ConditionCountConfig(conditions=dict(found)))],
        )
        for name, found in wanted.items()
    ]
    count = sum(map(len, wanted.values()))
    return DeclarativeSchema([*STANDARD_RESOLVER, *specs]), count


def solve(path: Path, data_format: str) -> Answer:
    frame = load(path, data_format)
    wanted, count = schema()
    view = why.log(frame, schema=wanted).view()
    broken = {}
    for name, rules in COLUMNS.items():
        summary = view.get_column(name).to_summary_dict()
        if rules.required:
            broken[f"{name} required"] = int(summary["counts/null"])
            count += 1
        for rule in conditions(rules):
            total, kept = summary["condition_count/total"], summary[f"condition_count/{rule}"]
            broken[f"{name} {rule}"] = int(total - kept)
    return Answer(len(frame), {label: n for label, n in broken.items() if n}, count, profiled=True)


if __name__ == "__main__":
    main(solve)
