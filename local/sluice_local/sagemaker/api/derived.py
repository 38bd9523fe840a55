"""Resources that follow from others: only what users change of them is stored."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from sluice_local.sagemaker.api.core import Item, Scope, Table, now

Derive = Callable[[Scope, str], Item | None]


class DerivedTable(Table):
    """A table with items that nobody created, and that follow from other tables.

    What is stored under such a name is laid over what follows, and a deletion is remembered.
    """

    def __init__(
        self, noun: str, arn_kind: str, name_key: str, derive: Derive, *, ignores_case: bool = False
    ) -> None:
        super().__init__(noun, arn_kind, name_key, ignores_case=ignores_case)
        self._derive = derive

    def _read(self, scope: Scope, name: str) -> Item | None:
        stored = super()._read(scope, name)
        if stored and stored.get("_IsDeleted"):
            return None
        derived = self._derive(scope, name)
        return stored if derived is None else {**derived, **(stored or {})}

    def edit(self, scope: Scope, name: str, changes: Callable[[Item], Mapping[str, Any]]) -> Item:
        with self._lock:
            item = self.get(scope, name)
            changed = {"LastModifiedTime": now(), **copy.deepcopy(dict(changes(copy.deepcopy(item))))}
            stored = super()._read(scope, name) or {"CreationTime": item["CreationTime"]}
            self._put(scope, name, {**stored, **changed})
            return item | copy.deepcopy(changed)

    def delete(self, scope: Scope, name: str) -> Item:
        with self._lock:
            item = self.get(scope, name)
            self._drop(scope, name)
            if self._derive(scope, name) is not None:
                self._put(scope, name, {"CreationTime": item["CreationTime"], "_IsDeleted": True})
            return item
