"""See a stack as of one moment: what a page reads twice, it reads once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from sluice.lazy import dataclass
from sluice.ports import Catalog, Cloud, Item


@dataclass(frozen=True, slots=True)
class _Range:
    """The first items of a range, as many as were asked for; all of them without a limit."""

    items: list[Item]
    limit: int | None

    def has(self, limit: int | None) -> bool:
        """Whether nothing more has to be read for so many items."""
        is_whole = self.limit is None or len(self.items) < self.limit
        return is_whole or (limit is not None and limit <= len(self.items))


class _Once:
    """A catalog that is only read, and each part of it once; a caller may change what it gets."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._known: dict[Any, Any] = {}
        self._ranges: dict[Any, _Range] = {}

    def get(self, key: Mapping[str, str]) -> Item | None:
        found: Item | None = self._read(("get", key["pk"], key["sk"]), lambda: self._catalog.get(key))
        return found

    def get_all(self, keys: Sequence[Mapping[str, str]]) -> list[Item | None]:
        new = [key for key in keys if ("get", key["pk"], key["sk"]) not in self._known]
        found = zip(new, self._catalog.get_all(new) if new else [], strict=True)
        self._known |= {("get", key["pk"], key["sk"]): item for key, item in found}
        return [self.get(key) for key in keys]

    def query(self, pk: str, prefix: str = "", **options: Any) -> list[Item]:
        """Read a range once; fewer items of its beginning are a part of what is known."""
        limit = options.pop("limit", None)
        given = sorted((name, value) for name, value in options.items() if value is not None)
        asked = (pk, prefix, tuple(given))
        known = self._ranges.get(asked)
        if known is None or not known.has(limit):
            found = self._catalog.query(pk, prefix, limit=limit, **options)
            known = self._ranges[asked] = _Range(found, limit)
        return copy.deepcopy(known.items[:limit])

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
