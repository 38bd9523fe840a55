"""What JSON the parts of a definition are, where no request of SageMaker has a model of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sluice_local.sagemaker.pipelines.definition.errors import DefinitionError
from sluice_local.sagemaker.pipelines.definition.references import function_of

# Text, or a reference to one.
VALUE = "text or a reference"
_WORDS = {str: "text", bool: "true or false", dict: "a map", list: "a list"}

Form = Any
"""`str`, `bool`, `dict` or `list` of anything, VALUE, a list with the form of its items, or a map with the
forms that its members have if they are there."""


def check(where: str, value: Any, form: Form) -> None:
    """Raise DefinitionError for the first part of a value that has another form, with its place."""
    for place, expected, found in _faults(value, form, ""):
        raise DefinitionError(f"{where} {place} must be {expected}, not {found!r}.")


def _faults(value: Any, form: Form, place: str) -> Iterator[tuple[str, str, Any]]:
    if form is VALUE:
        if not isinstance(value, str) and not function_of(value):
            yield place, VALUE, value
    elif isinstance(form, type):
        if not isinstance(value, form):
            yield place, _WORDS[form], value
    elif not isinstance(value, type(form)):
        yield place, _WORDS[type(form)], value
    elif isinstance(value, dict):
        yield from _member_faults(value, form, f"{place}." if place else "")
    else:
        for position, item in enumerate(value):
            yield from _faults(item, form[0], f"{place}[{position}]")


def _member_faults(
    value: Mapping[str, Any], form: Mapping[str, Form], prefix: str
) -> Iterator[tuple[str, str, Any]]:
    for name, inner in form.items():
        if value.get(name) is not None:
            yield from _faults(value[name], inner, f"{prefix}{name}")


def is_deeper(value: Any, levels: int) -> bool:
    """Tell whether a document has more levels of maps and lists than so many."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(inner) and (levels == 0 or any(is_deeper(each, levels - 1) for each in inner))
