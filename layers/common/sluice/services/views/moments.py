"""See a stack as of one moment: what a page reads twice, it reads once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from sluice.lazy import dataclass
from sluice.ports import Catalog, Cloud, Item

# What is asked of other services by value, and may be asked once.
_DESCRIBED = {
    "registry": ("describe_package", "packages"),
    "endpoints": ("describe_endpoint", "tags"),
    "alarms": ("describe",),
}


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
        self._whole: dict[tuple[str, str], list[Item]] = {}

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
        if (learned := self._learned(pk, prefix, dict(given))) is not None:
            return copy.deepcopy(learned[:limit])
        asked = (pk, prefix, tuple(given))
        known = self._ranges.get(asked)
        if known is None or not known.has(limit):
            found = self._catalog.query(pk, prefix, limit=limit, **options)
            known = self._ranges[asked] = _Range(found, limit)
        return copy.deepcopy(known.items[:limit])

    def listing(self, gsi1pk: str) -> list[Item]:
        return self._read(("listing", gsi1pk), lambda: self._catalog.listing(gsi1pk)) or []

    def learn(self, pk: str, prefix: str, items: Sequence[Item]) -> None:
        """Know all items of a range, in order, as they were read together with others."""
        self._whole[pk, prefix] = [*items]
        self._known |= {("get", each["pk"], each["sk"]): each for each in items}

    def _learned(self, pk: str, prefix: str, given: Mapping[str, Any]) -> list[Item] | None:
        """Return what is known of a range, if all of it is; only plain ranges are."""
        if "between" in given or "after" in given:
            return None
        for (known_pk, known), items in self._whole.items():
            if known_pk == pk and prefix.startswith(known):
                found = [each for each in items if each["sk"].startswith(prefix)]
                return found[::-1] if given.get("newest_first") else found
        return None

    def _read(self, asked: Any, read: Callable[[], Any]) -> Any:
        if asked not in self._known:
            self._known[asked] = read()
        return copy.deepcopy(self._known[asked])


class _Listed:
    """An iteration that may be made again; it is read as far as any of them went."""

    def __init__(self, source: Iterator[Any]) -> None:
        self._source, self._read = source, list[Any]()

    def __iter__(self) -> Iterator[Any]:
        at = 0
        while True:
            if at == len(self._read):
                try:
                    self._read.append(next(self._source))
                except StopIteration:
                    return
            yield self._read[at]
            at += 1


class _AskedOnce:
    """A port, of which some methods are called once for each set of arguments."""

    def __init__(self, port: Any, methods: Sequence[str]) -> None:
        self._port, self._methods, self._known = port, methods, dict[Any, Any]()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if name not in self._methods:
            return method

        def ask(*given: Any) -> Any:
            asked = (name, *(tuple(each) if isinstance(each, list) else each for each in given))
            if asked not in self._known:
                found = method(*given)
                self._known[asked] = _Listed(found) if isinstance(found, Iterator) else found
            known = self._known[asked]
            return iter(known) if isinstance(known, _Listed) else copy.deepcopy(known)

        return ask


class _Moment:
    """A stack whose catalog is read once, as is what other services describe; all else is as it is."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.catalog = _Once(cloud.catalog)
        self._ports = dict[str, Any]()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._cloud, name)
        if name not in _DESCRIBED:
            return found
        return self._ports.setdefault(name, _AskedOnce(found, _DESCRIBED[name]))


def moment(cloud: Cloud) -> Cloud:
    """Return a stack to make one page of: it must not outlive the page, and writes nothing."""
    return cast(Cloud, _Moment(cloud))


def learn(cloud: Cloud, pk: str, prefix: str, items: Sequence[Item]) -> None:
    """Let the catalog of a page know a whole range; any other catalog goes on to read it."""
    if isinstance(cloud.catalog, _Once):
        cloud.catalog.learn(pk, prefix, items)
