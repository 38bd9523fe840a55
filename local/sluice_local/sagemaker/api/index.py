"""Find items of a table by what they contain."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Generic, TypeVar

Item = dict[str, Any]
Scope = TypeVar("Scope", bound=Hashable)


class Index(Generic[Scope]):
    """Items of a table by keys that their content has, so that nothing reads all of them."""

    def __init__(self, lock: threading.RLock, keys: Callable[[Scope, Item], Iterable[str]]) -> None:
        """`lock` is the table's, which holds it when something moves."""
        self._lock = lock
        self._keys = keys
        self._found: dict[tuple[Scope, str], dict[str, Item]] = {}
        self._unordered: set[tuple[Scope, str]] = set()

    def find(self, scope: Scope, key: str) -> list[Item]:
        """Return the items with a key, in order of creation. They are no copies: callers change none."""
        with self._lock:
            if (scope, key) in self._unordered:
                items = self._found[scope, key].items()
                self._found[scope, key] = dict(sorted(items, key=lambda each: each[1]["CreationTime"]))
                self._unordered.remove((scope, key))
            return list(self._found.get((scope, key), {}).values())

    def first(self, scope: Scope, key: str) -> Item | None:
        """Return the oldest item with a key."""
        with self._lock:
            if (scope, key) in self._unordered:
                self.find(scope, key)
            return next(iter(self._found.get((scope, key), {}).values()), None)

    def clear(self) -> None:
        self._found, self._unordered = {}, set()

    def move(self, scope: Scope, name: str, former: Item | None, item: Item | None) -> None:
        """Note that an item has come, has changed or is gone."""
        before = set(self._keys(scope, former)) if former is not None else set()
        after = set(self._keys(scope, item)) if item is not None else set()
        for key in before - after:
            del self._found[scope, key][name]
            if not self._found[scope, key]:
                del self._found[scope, key]
                self._unordered.discard((scope, key))
        for key in after:
            self._found.setdefault((scope, key), {})[name] = item or {}
        if former is not None:  # those that have a key later are older than some that have it already
            self._unordered |= {(scope, key) for key in after - before}
