"""See a stack as of one moment: what a page reads twice, it reads once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, cast

from sluice.ports import Catalog, Cloud, Item


class _Once:
    """A catalog that is only read, and each part of it once; a caller may change what it gets."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._known: dict[Any, Any] = {}

    def get(self, key: Mapping[str, str]) -> Item | None:
        found: Item | None = self._read(("get", key["pk"], key["sk"]), lambda: self._catalog.get(key))
        return found

    def query(self, pk: str, prefix: str = "", **options: Any) -> list[Item]:
        asked = ("query", pk, prefix, tuple(sorted(options.items())))
        return self._read(asked, lambda: self._catalog.query(pk, prefix, **options)) or []

    def listing(self, gsi1pk: str) -> list[Item]:
        return self._read(("listing", gsi1pk), lambda: self._catalog.listing(gsi1pk)) or []

    def _read(self, asked: Any, read: Callable[[], Any]) -> Any:
        if asked not in self._known:
            self._known[asked] = read()
        return copy.deepcopy(self._known[asked])


class _Moment:
    """A stack whose catalog is read once; all else is as it is."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.catalog = _Once(cloud.catalog)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cloud, name)


def moment(cloud: Cloud) -> Cloud:
    """Return a stack to make one page of: it must not outlive the page, and writes nothing."""
    return cast(Cloud, _Moment(cloud))
