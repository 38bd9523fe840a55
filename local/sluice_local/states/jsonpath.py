"""Apply a JSONPath state's InputPath, Parameters, ResultSelector, ResultPath and OutputPath. Pure."""

from __future__ import annotations

from typing import Any

from sluice_local.states import choices, templates
from sluice_local.states.data import dumps
from sluice_local.states.errors import ExecutionError
from sluice_local.states.outside import Context, State
from sluice_local.states.paths import find, put


class JsonPath:
    """The data flow of one state: what it uses of its input, and its output."""

    def __init__(self, state: State, context: Context) -> None:
        self._state = state
        self._context = context

    def effective(self, value: Any) -> Any:
        """Return the part of the input that InputPath selects."""
        return self._through("InputPath", value)

    def arguments(self, value: Any) -> Any:
        """Return what the state works on."""
        return self._filled("Parameters", self.effective(value))

    def output(self, value: Any, result: Any) -> Any:
        """Return what a result makes of the input."""
        selected = self._filled("ResultSelector", result)
        return self._through("OutputPath", _placed(self._state, value, selected))

    def passed(self, value: Any) -> Any:
        """Return a Pass state's output."""
        return self.output(value, self._state["Result"] if "Result" in self._state else self.arguments(value))

    def unchanged(self, value: Any) -> Any:
        """Return the output of a state that computes nothing."""
        return self._through("OutputPath", self.effective(value))

    def chosen(self, value: Any) -> tuple[Any, str]:
        """Return the output and the next state of a Choice."""
        effective = self.effective(value)
        for choice in self._state["Choices"]:
            if choices.holds(choice, effective, self._context):
                return self._through("OutputPath", effective), choice["Next"]
        if "Default" in self._state:
            return self._through("OutputPath", effective), self._state["Default"]
        raise ExecutionError("States.NoChoiceMatched", "No rule matches, and the state has no Default")

    def caught(self, catcher: State, value: Any, error_output: Any) -> Any:
        """Return what a catcher makes of the input and the error."""
        return _placed(catcher, value, error_output)

    def text(self, field: str, value: Any, default: str) -> str:
        """Return a field that is a text, or whose `...Path` leads to one or computes it."""
        path = self._state.get(f"{field}Path")
        if path is None:
            return str(self._state.get(field, default))
        found = templates.evaluate(path, value, self._context)
        if not isinstance(found, str):
            raise ExecutionError(
                "States.Runtime", f"{field}Path must lead to a text, but led to {dumps(found)}"
            )
        return found

    def field(self, field: str, kind: str, value: Any) -> Any:
        """Return a field of another kind, or what its `...Path` leads to; None if the state has neither."""
        path = self._state.get(f"{field}Path")
        if path is None:
            return self._state.get(field)
        return find(path, self.effective(value), self._context)

    def items(self, value: Any) -> Any:
        """Return what a Map iterates over."""
        return find(self._state.get("ItemsPath", "$"), self.effective(value), self._context)

    def selected(self, selector: Any, value: Any, context: Context) -> Any:
        """Return the input of one iteration, in its context."""
        return templates.fill(selector, self.effective(value), context)

    def _through(self, field: str, value: Any) -> Any:
        path = self._state.get(field, "$")
        return {} if path is None else find(path, value, self._context)

    def _filled(self, field: str, value: Any) -> Any:
        template = self._state.get(field)
        return templates.fill(template, value, self._context) if template else value


def _placed(holder: State, value: Any, result: Any) -> Any:
    path = holder.get("ResultPath", "$")
    return value if path is None else put(path, value, result)
