"""Do what waits for AWS side by side: requests that do not depend on one another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

# A version may have thousands of objects.
_AT_A_TIME = 8
_Each = TypeVar("_Each")
_Found = TypeVar("_Found")


def on_each(items: Iterable[_Each], act: Callable[[_Each], _Found]) -> list[_Found]:
    """Act on many items, several at a time; returns what was found of each, in order."""
    if len(listed := list(items)) < 2:
        return [act(item) for item in listed]
    return _in_threads(listed, act)


def together(*acts: Callable[[], Any]) -> list[Any]:
    """Do what does not depend on one another side by side; raises what the first that fails raises."""
    return on_each(acts, lambda act: act())


def _in_threads(items: Sequence[_Each], act: Callable[[_Each], _Found]) -> list[_Found]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return list(pool.map(act, items))
