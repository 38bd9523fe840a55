"""Evidently: its data summary, with tests for those of the rules that it has metrics for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evidently import DataDefinition, Dataset, Report
from evidently.metrics import MissingValueCount, OutListValueCount, OutRangeValueCount
from evidently.presets import DataSummaryPreset
from evidently.tests import eq
from task import COLUMNS, Answer, Rules, main
from with_pandas import load

FAR = 1e18


def metrics(name: str, rules: Rules) -> list[tuple[str, Any]]:
    """Return the rules of a column that there is a metric for; a range is one metric for two rules."""
    found: list[tuple[str, Any]] = []
    if rules.required:
        found.append((f"{name} required", MissingValueCount(column=name, tests=[eq(0)])))
    if rules.type in ("integer", "number") and (rules.minimum is not None or rules.maximum is not None):
        left = -FAR if rules.minimum is None else rules.minimum
        right = FAR if rules.maximum is None else rules.maximum
        bounds = "maximum" if rules.maximum is not None else "minimum"
        found.append(
            (f"{name} {bounds}", OutRangeValueCount(column=name, left=left, right=right, tests=[eq(0)]))
        )
    if rules.allowed:
        found.append(
            (f"{name} allowed", OutListValueCount(column=name, values=list(rules.allowed), tests=[eq(0)]))
        )
    return found


def count(counted: Mapping[str, Any], label: str) -> int:
    """Return the rows that a metric counted; Evidently names it `<kind>(column=<name>,...)`."""
    name, rule = label.split()
    kind = {"required": "MissingValueCount", "allowed": "OutListValueCount"}.get(rule, "OutRangeValueCount")
    starts = (f"{kind}(column={name},", f"{kind}(column={name})")
    return int(next(value["count"] for key, value in counted.items() if key.startswith(starts)))


def solve(path: Path, data_format: str) -> Answer:
    frame = load(path, data_format)
    # Its histograms know no missing value among nullable integers.
    integers = [name for name, rules in COLUMNS.items() if rules.type == "integer"]
    frame = frame.astype({name: "float64" if frame[name].isna().any() else "int64" for name in integers})
    kinds = {
        kind: [name for name, rules in COLUMNS.items() if rules.type in types]
        for kind, types in (
            ("numerical", ("integer", "number")),
            ("categorical", ("string", "boolean")),
            ("datetime", ("timestamp",)),
        )
    }
    definition = DataDefinition(
        numerical_columns=kinds["numerical"],
        categorical_columns=kinds["categorical"],
        datetime_columns=kinds["datetime"],
    )
    asked = [pair for name, rules in COLUMNS.items() for pair in metrics(name, rules)]
    report = Report([DataSummaryPreset(), *(metric for _, metric in asked)])
    snapshot = report.run(Dataset.from_pandas(frame, data_definition=definition), None)
    counted = {str(item["metric_name"]): item["value"] for item in snapshot.dict()["metrics"]}
    broken = {label: count(counted, label) for label, _ in asked}
    return Answer(len(frame), {label: n for label, n in broken.items() if n}, len(asked), profiled=True)


if __name__ == "__main__":
    main(solve)
