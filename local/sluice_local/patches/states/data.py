"""The data a state passes on: paths that must exist, comparisons by type, the payload quota, compact JSON."""

from __future__ import annotations

import json
from typing import Any

from ministack.services import stepfunctions

PAYLOAD_LIMIT_BYTES = 256 * 1024

_evaluate_rule = stepfunctions._evaluate_rule
_exec_intrinsic = stepfunctions._exec_intrinsic


def install() -> None:
    """Replace ministack's lenient evaluation, in which a path that leads nowhere is null."""
    stepfunctions._resolve_path = resolve_path
    stepfunctions._evaluate_rule = _evaluate_rule_by_type
    stepfunctions._exec_intrinsic = _exec_intrinsic_with_json


def dumps(value: Any) -> str:
    """Compact JSON, characters beyond ASCII as they are."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def check_size(value: Any, source: str) -> str:
    """The value as JSON; fails the execution if it is over the payload quota."""
    text = dumps(value)
    if len(text.encode()) > PAYLOAD_LIMIT_BYTES:
        raise stepfunctions._ExecutionError(
            "States.DataLimitExceeded",
            f"The state/task '{source}' returned a result with a size exceeding the maximum number of bytes "
            "service limit.",
        )
    return text


def resolve_path(path: str, data: Any) -> Any:
    """What a JSONPath leads to; one that leads nowhere fails the execution with States.Runtime."""
    if not path.startswith("$") or path == "$":
        return data
    tokens = stepfunctions._parse_jsonpath_tokens(path)
    if tokens is None:
        raise stepfunctions._ExecutionError("States.Runtime", f"Invalid path '{path}'")
    found = [data]
    for kind, key in tokens:
        found = [value for each in found for value in _step(each, kind, key)]
    if any(kind == "wildcard" for kind, _ in tokens):
        return found
    if not found:
        raise stepfunctions._ExecutionError(
            "States.Runtime", f"The JSONPath '{path}' could not be found in the input '{dumps(data)[:1000]}'"
        )
    return found[0]


def _step(value: Any, kind: str, key: Any) -> list[Any]:
    if kind == "field":
        return [value[key]] if isinstance(value, dict) and key in value else []
    if kind == "index":
        return [value[key]] if isinstance(value, list) and key < len(value) else []
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _evaluate_rule_by_type(rule: dict[str, Any], data: Any, ctx: Any = None) -> bool:
    variable = rule.get("Variable")
    if variable is None:
        return bool(_evaluate_rule(rule, data, ctx))
    try:
        value = stepfunctions._resolve_path_or_ctx(variable, data, ctx)
    except stepfunctions._ExecutionError:
        if "IsPresent" in rule:
            return rule["IsPresent"] is False
        raise
    if "IsPresent" in rule:
        return rule["IsPresent"] is True
    if isinstance(value, bool) and "IsNumeric" in rule:
        return rule["IsNumeric"] is False
    if "BooleanEquals" in rule or "BooleanEqualsPath" in rule:
        return isinstance(value, bool) and bool(_evaluate_rule(rule, data, ctx))
    return bool(_evaluate_rule(rule, data, ctx))


def _exec_intrinsic_with_json(node: Any, data: Any, ctx: Any) -> Any:
    """States.Format and States.JsonToString spell values as JSON; stock, as Python or in ASCII."""
    _, name, arguments = node
    if name == "States.Format":
        values = (stepfunctions._eval_intrinsic_arg(argument, data, ctx) for argument in arguments)
        texts = [("str", value if isinstance(value, str) else dumps(value)) for value in values]
        return _exec_intrinsic(("call", name, texts), data, ctx)
    if name == "States.JsonToString":
        return dumps(stepfunctions._eval_intrinsic_arg(arguments[0], data, ctx))
    return _exec_intrinsic(node, data, ctx)
