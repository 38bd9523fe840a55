"""Give the SAM transform the values of parameters.

Ministack calls it without them, so a property that the transform resolves itself would always get the
parameter's default.
"""

from __future__ import annotations

import importlib
from contextvars import ContextVar
from typing import Any

from ministack.services.cloudformation import changesets, engine, handlers

from sluice_local.settings import Settings

_values: ContextVar[dict[str, str]] = ContextVar("parameter_values")


def install(settings: Settings) -> None:
    """Pass an operation's parameter values to its transform."""
    apply = engine._apply_transforms

    def apply_with_values(template: dict[str, Any], provided: Any = None, previous: Any = None) -> Any:
        _pass_values_on()
        token = _values.set(engine._transform_parameters(template, provided, previous))
        try:
            return apply(template, provided, previous)
        finally:
            _values.reset(token)

    for module in (engine, handlers, changesets):
        module._apply_transforms = apply_with_values


def _pass_values_on() -> None:
    """Wrap the translator's entry once, at first use: its import takes a while."""
    translator: Any = importlib.import_module("samtranslator.translator.transform")
    transform = translator.transform
    if not hasattr(transform, "takes_values"):

        def with_values(template: Any, parameters: dict[str, str], loader: Any) -> Any:
            return transform(template, {**_values.get(), **parameters}, loader)

        with_values.takes_values = True  # type: ignore[attr-defined]
        translator.transform = with_values
