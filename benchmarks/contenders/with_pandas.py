"""pandas, as one writes it by hand."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from task import COLUMNS, Answer, Rules, main, rules_count, rules_of

DTYPES = {"integer": "Int64", "number": "float64", "string": "str", "boolean": "boolean"}


def load(path: Path, data_format: str) -> pd.DataFrame:
    """Return the file with the columns' types."""
    if data_format == "parquet":
        return pd.read_parquet(path)
    dtypes = {name: DTYPES[rules.type] for name, rules in COLUMNS.items() if rules.type in DTYPES}
    times = [name for name, rules in COLUMNS.items() if rules.type == "timestamp"]
    return pd.read_csv(path, dtype=dtypes, parse_dates=times)


def broken_rows(column: pd.Series, rule: str, rules: Rules) -> int:
    values = column.dropna()
    match rule:
        case "required":
            return int(column.isna().sum())
        case "minimum":
            return int((values < rules.minimum).sum())
        case "maximum":
            return int((values > rules.maximum).sum())
        case "allowed":
            return int((~values.isin(rules.allowed)).sum())
        case "pattern":
            return int((~values.str.fullmatch(rules.pattern)).sum())
        case "max_length":
            return int((values.str.len() > rules.max_length).sum())
        case _:
            return int(values.duplicated().sum())


def profile(frame: pd.DataFrame) -> None:
    for name, rules in COLUMNS.items():
        column = frame[name].dropna()
        column.nunique()
        if rules.type == "number" or (rules.type == "integer" and not rules.allowed):
            column.describe(percentiles=[0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])
        elif rules.type == "string" and not rules.allowed:
            column.str.len().describe()
        else:
            column.value_counts().head(100)


def solve(path: Path, data_format: str) -> Answer:
    frame = load(path, data_format)
    broken = {
        f"{name} {rule}": broken_rows(frame[name], rule, rules)
        for name, rules in COLUMNS.items()
        for rule in rules_of(rules)
    }
    profile(frame)
    return Answer(len(frame), {rule: n for rule, n in broken.items() if n}, rules_count(), profiled=True)


if __name__ == "__main__":
    main(solve)
