"""Apply a state's data flow in JSONata: Arguments, Output and Assign, with a given evaluator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sluice_local.states.data import dumps, is_number
from sluice_local.states.errors import ExecutionError
from sluice_local.states.outside import Context, State

# (expression, input, context, result, error output) -> value
Evaluate = Callable[[str, Any, Context, Any, Any], Any]

_OPEN, _CLOSE = "{%", "%}"


class Jsonata:
    """The data flow of one state: what it uses of its input, and its output."""

    def __init__(self, state: State, context: Context, evaluate: Evaluate) -> None:
        self._state = state
        self._context = context
        self._evaluate = evaluate

    def effective(self, value: Any) -> Any:
        """Return the input, all of it."""
        return value

    def arguments(self, value: Any) -> Any:
        """Return what the state works on."""
        return self._filled(self._state["Arguments"], value) if "Arguments" in self._state else value

    def output(self, value: Any, result: Any) -> Any:
        """Return what a result makes of the input."""
        return self._finished(self._state, value, result, result)

    def passed(self, value: Any) -> Any:
        """Return a Pass state's output; its Assign sees that as the result."""
        output = self._filled(self._state["Output"], value) if "Output" in self._state else value
        self._assign(self._state, value, output)
        return output

    def unchanged(self, value: Any) -> Any:
        """Return the output of a state that computes nothing."""
        return self._finished(self._state, value, value)

    def chosen(self, value: Any) -> tuple[Any, str]:
        """Return the output and the next state of a Choice."""
        for choice in self._state["Choices"]:
            if _is_true(self._filled(choice.get("Condition"), value)):
                return self._finished(choice, value, value), choice["Next"]
        if "Default" not in self._state:
            raise ExecutionError(
                "States.NoChoiceMatched", "No condition is true, and the state has no Default"
            )
        self._assign(self._state, value)
        return value, self._state["Default"]

    def caught(self, catcher: State, value: Any, error_output: Any) -> Any:
        """Return what a catcher makes of the input and the error."""
        return self._finished(catcher, value, error_output, None, error_output)

    def text(self, field: str, value: Any, default: str) -> str:
        """Return a field that is a text, or an expression of one."""
        return str(self.field(field, "string", value)) if field in self._state else default

    def field(self, field: str, kind: str, value: Any) -> Any:
        """Return a field of a JSON type, or an expression of one; None if the state does not have it."""
        if field not in self._state:
            return None
        found = self._filled(self._state[field], value)
        if _kind(found) != kind:
            raise ExecutionError(
                "States.QueryEvaluationError",
                f"The JSONata expression specified for the field '{field}' returned an unexpected "
                f"result type. Expected '{kind}', but was '{_kind(found)}' for value: {dumps(found)}",
            )
        return found

    def items(self, value: Any) -> Any:
        """Return what a Map iterates over."""
        return self.field("Items", "array", value) if "Items" in self._state else value

    def selected(self, selector: Any, value: Any, context: Context) -> Any:
        """Return the input of one iteration, in its context."""
        return Jsonata(self._state, context, self._evaluate)._filled(selector, value)

    def _finished(
        self, holder: State, value: Any, default: Any, result: Any = None, error_output: Any = None
    ) -> Any:
        output = default
        if "Output" in holder:
            output = self._filled(holder["Output"], value, result, error_output)
        self._assign(holder, value, result, error_output)
        return output

    def _assign(self, holder: State, value: Any, result: Any = None, error_output: Any = None) -> None:
        assigned = {
            name: self._filled(template, value, result, error_output)
            for name, template in holder.get("Assign", {}).items()
        }
        self._context.setdefault("variables", {}).update(assigned)

    def _filled(self, template: Any, value: Any, result: Any = None, error_output: Any = None) -> Any:
        if isinstance(template, dict):
            return {name: self._filled(each, value, result, error_output) for name, each in template.items()}
        if isinstance(template, list):
            return [self._filled(each, value, result, error_output) for each in template]
        if not (isinstance(template, str) and template.startswith(_OPEN) and template.endswith(_CLOSE)):
            return template
        expression = template.removeprefix(_OPEN).removesuffix(_CLOSE).strip()
        return self._evaluate(expression, value, self._context, result, error_output)


def _is_true(value: Any) -> bool:
    """Convert as JSONata's `$boolean`: a list is true if any member is."""
    return any(map(_is_true, value)) if isinstance(value, list) else bool(value)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if is_number(value):
        return "number"
    return {bool: "boolean", str: "string", list: "array"}.get(type(value), "object")
