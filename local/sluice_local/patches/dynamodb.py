"""Read an expression once.

Ministack parses a query's condition anew for each item of the partition, so that a query takes as long as
parsing its text a few hundred times.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from ministack.services import dynamodb

from sluice_local.settings import Settings

_REMEMBERED = 1024
# A partition, and all of it or a range of its sort keys: those that begin alike, or lie between two.
_KEY_CONDITION = re.compile(
    r"(?P<pk>\w+) = (?P<is>:\w+)"
    r"(?: AND (?:begins_with\((?P<begins>\w+), (?P<prefix>:\w+)\)"
    r"|(?P<lies>\w+) BETWEEN (?P<first>:\w+) AND (?P<last>:\w+)))?"
)
_Values = Mapping[str, Any]
_Evaluate = Callable[..., bool]


def install(settings: Settings) -> None:
    """Remember what an expression consists of, and what is wrong with its grammar: it decides both alone."""
    dynamodb._tokenize = _remembered(dynamodb._tokenize)
    dynamodb._condition_syntax_error = lru_cache(_REMEMBERED)(dynamodb._condition_syntax_error)
    dynamodb._evaluate_condition = _with_plain_ranges(dynamodb._evaluate_condition)


def _remembered(tokenize: Callable[[str], list[Any]]) -> Callable[[str], list[Any]]:
    tokens = lru_cache(_REMEMBERED)(lambda expression: tuple(tokenize(expression)))
    # Who gets the list may change it.
    return lambda expression: list(tokens(expression))


def _with_plain_ranges(evaluate: _Evaluate) -> _Evaluate:
    """Compare strings where a key's condition is no more than that; ministack reads all others.

    It has looked at the request before, so that what is wrong with it is said by then.
    """

    def evaluated(
        expression: str, item: _Values, values: _Values, names: _Values, slot: str = "ConditionExpression"
    ) -> bool:
        if slot == "KeyConditionExpression" and not names:
            found = _compared(expression, item, values)
            if found is not None:
                return found
        return evaluate(expression, item, values, names, slot=slot)

    return evaluated


def _compared(expression: str, item: _Values, values: _Values) -> bool | None:
    """Tell whether an item lies in a plain range; None for any other condition, or of other than strings."""
    parsed = _parsed(expression)
    if parsed is None:
        return None
    pk, sk, given = parsed
    held: list[Any] = [(item.get(name) or {}).get("S") for name in ((pk, sk) if sk else (pk,))]
    wanted: list[Any] = [(values.get(name) or {}).get("S") for name in given]
    if not all(isinstance(each, str) for each in (*held, *wanted)):
        return None
    match wanted:
        case [_, first, last]:
            # Bounds in the wrong order are ministack's to refuse.
            return bool(held[0] == wanted[0] and first <= held[1] <= last) if first <= last else None
        case [_, prefix]:
            return bool(held[0] == wanted[0] and held[1].startswith(prefix))
        case _:
            return bool(held == wanted)


@lru_cache(_REMEMBERED)
def _parsed(expression: str) -> tuple[str, str | None, tuple[str, ...]] | None:
    """Return the names of the keys and of the values that they are held against."""
    found = _KEY_CONDITION.fullmatch(expression)
    if found is None:
        return None
    values = tuple(found[name] for name in ("is", "prefix", "first", "last") if found[name])
    return found["pk"], found["begins"] or found["lies"], values
