"""Read an expression once.

Ministack parses a query's condition anew for each item of the partition, so that a query's time is that of
reading its text a few hundred times.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ministack.services import dynamodb

from sluice_local.settings import Settings

_REMEMBERED = 1024


def install(settings: Settings) -> None:
    """Remember what an expression consists of, and what is wrong with its grammar: it decides both alone."""
    dynamodb._tokenize = _remembered(dynamodb._tokenize)
    dynamodb._condition_syntax_error = lru_cache(_REMEMBERED)(dynamodb._condition_syntax_error)


def _remembered(tokenize: Callable[[str], list[Any]]) -> Callable[[str], list[Any]]:
    tokens = lru_cache(_REMEMBERED)(lambda expression: tuple(tokenize(expression)))
    # Who gets the list may change it.
    return lambda expression: list(tokens(expression))
