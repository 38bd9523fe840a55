"""Fake a catalog and a bucket with a long past, computed on reading: a million items cost nothing.

Reads are counted as on AWS: a query is one request for each megabyte, a listing one for each thousand keys.
"""

from __future__ import annotations

import heapq
import json
import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import fakes
from sluice.adapters import multipart
from sluice.catalog import keys
from sluice.catalog.changes import Change, Delete, Put, Update, refuse_impossible
from sluice.ports import Content, Item, ObjectHead, Piece

_PACKAGE = keys.package_partition("")
_LAST = "\U0010ffff"
_GETS_MAX = 100
_PAGE_BYTES = 2**20
_LISTED_PER_REQUEST = 1000
_PACKAGES_PER_REQUEST = 100


@dataclass
class Count:
    """What a handler reads and writes; `made_s` is the time that what it reads took to be made up here."""

    requests: int = 0
    items: int = 0
    bytes: int = 0
    writes: int = 0
    made_s: float = 0


class Keys:
    """So many keys in order, given by their numbers.

    None is in memory: no function holds a past, and to fork a process that does takes time by its length.
    """

    def __init__(self, count: int, key: Callable[[int], str]) -> None:
        self._numbers, self._key = range(count), key
        self._ends = (key(0), key(count - 1)) if count else ("", "")

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, number: int) -> str:
        return self._key(self._numbers[number])

    def find(self, key: str) -> int | None:
        """Return the number of a key, if it is one of these."""
        found = self.between(key, key)
        return found[0] if found else None

    def between(self, first: str, last: str) -> range:
        """Return the numbers of the keys from a first to a last one."""
        begin, end = self._ends
        if last < begin or first > end:
            # Most that a function looks for is not of the past: that takes no time.
            return range(0)
        return range(bisect_left(self, first), bisect_right(self, last))


@dataclass(frozen=True)
class Past:
    """Items of a partition, sorted by number; `item` returns the attributes besides the key."""

    pk: str
    sks: Keys
    item: Callable[[int], Item]

    def at(self, number: int) -> Item:
        return {"pk": self.pk, "sk": self.sks[number], **self.item(number)}


class GrownCatalog(fakes.FakeCatalog):
    """A catalog with a past, which writes overlay."""

    def __init__(self) -> None:
        self.count = Count()
        # The attributes of every package of the past.
        self.package: Item = {}
        self._past: list[Past] = []
        self._sizes: dict[int, int] = {}
        # Items written since; None for deleted ones.
        self._written_items: dict[tuple[str, str], Item | None] = {}
        self._sks: dict[str, list[str]] = {}

    def add_past(self, pk: str, count: int, sk: Callable[[int], str], item: Callable[[int], Item]) -> None:
        past = Past(pk, Keys(count, sk), item)
        if count:
            self._sizes[id(past)] = len(json.dumps(past.at(0)))
            self._past.append(past)

    def get(self, key: Mapping[str, str]) -> Item | None:
        item = self._find(key["pk"], key["sk"])
        self.count.requests += 1
        self.count.items += item is not None
        self.count.bytes += len(json.dumps(item)) if item else 0
        return item

    def get_all(self, keys: Sequence[Mapping[str, str]]) -> list[Item | None]:
        """A hundred different items are one request."""
        requests = self.count.requests + ceil(len({(key["pk"], key["sk"]) for key in keys}) / _GETS_MAX)
        found = [self.get(key) for key in keys]
        self.count.requests = requests
        return found

    def _find(self, pk: str, sk: str) -> Item | None:
        if (pk, sk) in self._written_items:
            item = self._written_items[pk, sk]
            return dict(item) if item else None
        if pk.startswith(_PACKAGE):
            return {"pk": pk, "sk": sk, **self.package}
        for past in self._past:
            if past.pk == pk and (number := past.sks.find(sk)) is not None:
                return past.at(number)
        return None

    def apply(self, *changes: Change) -> bool:
        refuse_impossible(changes)
        self.count.writes += len(changes)
        found = [self._find(change.key["pk"], change.key["sk"]) for change in changes]
        if not all(map(_is_allowed, changes, found)):
            return False
        for change, item in zip(changes, found, strict=True):
            self._write(change.key["pk"], change.key["sk"], _changed(change, item))
        return True

    def _write(self, pk: str, sk: str, item: Item | None) -> None:
        if (pk, sk) not in self._written_items:
            insort(self._sks.setdefault(pk, []), sk)
        self._written_items[pk, sk] = item

    def query(
        self,
        pk: str,
        prefix: str = "",
        *,
        between: tuple[str, str] | None = None,
        after: str | None = None,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> list[Item]:
        first, last = between or (prefix, prefix + _LAST)
        if after is not None:
            first, last = (first, after) if newest_first else (after, last)
        found: list[Item] = []
        size = 0
        for sk, past, number in self._ordered(pk, first, last, newest_first):
            if sk == after:
                continue
            if limit is not None and len(found) >= limit:
                break
            item = past.at(number) if past else dict(self._written_items[pk, sk] or {})
            found.append(item)
            size += self._sizes[id(past)] if past else len(json.dumps(item))
        self.count.requests += max(1, ceil(size / _PAGE_BYTES))
        self.count.items += len(found)
        self.count.bytes += size
        return found

    def _ordered(
        self, pk: str, first: str, last: str, reverse: bool
    ) -> Iterator[tuple[str, Past | None, int]]:
        """Yield where the items of a range are, in order."""
        sources = [self._of_past(past, first, last, reverse) for past in self._past if past.pk == pk]
        sks = self._sks.get(pk, [])
        written = sks[bisect_left(sks, first) : bisect_right(sks, last)]
        own = reversed(written) if reverse else written
        sources.append((sk, None, 0) for sk in own if self._written_items[pk, sk] is not None)
        return heapq.merge(*sources, key=lambda found: found[0], reverse=reverse)

    def _of_past(
        self, past: Past, first: str, last: str, reverse: bool
    ) -> Iterator[tuple[str, Past | None, int]]:
        numbers = past.sks.between(first, last)
        for number in reversed(numbers) if reverse else numbers:
            sk = past.sks[number]
            if (past.pk, sk) not in self._written_items:
                yield sk, past, number

    def listing(self, gsi1pk: str) -> list[Item]:
        found = [item for item in self._written_items.values() if item and item.get("gsi1pk") == gsi1pk]
        self.count.requests += 1
        self.count.items += len(found)
        return sorted((dict(item) for item in found), key=lambda item: str(item["gsi1sk"]))


def _is_allowed(change: Change, item: Item | None) -> bool:
    if isinstance(change, Put):
        return item is None
    if change.when is None:
        return True
    return item is not None and all(item.get(name) == value for name, value in change.when.items())


def _changed(change: Change, item: Item | None) -> Item | None:
    match change:
        case Delete():
            return None
        case Put():
            changed = {**change.item}
        case Update():
            changed = {**(item or change.key), **change.set}
    return {name: value for name, value in changed.items() if value is not None}


@dataclass
class GrownObjects(fakes.FakeObjects):
    """Buckets with a past of small objects, each with one version."""

    past: dict[str, Keys] = field(default_factory=dict)
    # Objects of the past whose content is computed on reading, by URI.
    deleted: set[str] = field(default_factory=set)
    computed: dict[str, Callable[[], bytes]] = field(default_factory=dict)
    made: dict[str, bytes] = field(default_factory=dict)
    in_pieces: list[str] = field(default_factory=list)
    count: Count = field(default_factory=Count)

    def __post_init__(self) -> None:
        fakes.FakeObjects.__init__(self)

    def head(self, bucket: str, key: str, version_id: str | None = None) -> ObjectHead | None:
        self.count.requests += 1
        return super().head(bucket, key, version_id)

    def open(self, bucket: str, key: str) -> tuple[ObjectHead, Iterator[bytes]] | None:
        self.count.requests += 1
        return super().open(bucket, key)

    def listing(self, bucket: str, prefix: str, **how: Any) -> Iterator[ObjectHead]:
        after = how.get("after", "")
        listed = iter(super().listing(bucket, prefix, **how))
        past = Keys(0, str) if how.get("shallow") else self._past(bucket)
        numbers = past.between(max(prefix, after), prefix + _LAST)
        old = (self._old(bucket, past[number]) for number in numbers)
        merged = heapq.merge(listed, old, key=lambda head: head.key)
        self.count.requests += 1
        for number, head in enumerate(head for head in merged if head.key > after):
            self.count.requests += bool(number and number % _LISTED_PER_REQUEST == 0)
            self.count.items += 1
            yield head

    def folders(self, bucket: str, prefix: str = "") -> Iterator[str]:
        self.count.requests += 1
        return super().folders(bucket, prefix)

    def read(self, uri: str) -> bytes:
        data = self._made(uri)
        self.count.requests += 1
        self.count.bytes += len(data)
        return data

    def download(self, bucket: str, key: str, version_id: str | None, path: Path) -> None:
        self.count.requests += 1
        super().download(bucket, key, version_id, path)

    def chunks(
        self, bucket: str, key: str, version_id: str | None = None, span: tuple[int, int] | None = None
    ) -> Iterator[bytes]:
        uri = f"s3://{bucket}/{key}"
        data = self._made(uri) if uri in self.computed else self._existing(bucket, key, version_id).data
        found = data[span[0] : span[1] + 1] if span else data
        self.count.requests += 1
        self.count.bytes += len(found)
        yield found

    def forget(self, uri: str) -> None:
        """Give up the content of an object that nobody will read."""
        self.made.pop(uri, None)
        self.computed.pop(uri, None)
        self.write(uri, b"")

    def _made(self, uri: str) -> bytes:
        """Return an object's content, if need be made up now."""
        if uri not in self.computed:
            return super().read(uri)
        if uri not in self.made:
            # Of this thread alone: others may make up what they read at the same time.
            start = time.thread_time()
            self.made[uri] = self.computed[uri]()
            self.count.made_s += time.thread_time() - start
        return self.made[uri]

    def make(self, *uris: str) -> None:
        """Make up objects, and what was written in pieces, before anybody is measured who reads them."""
        for uri in (*uris, *self.in_pieces):
            self._made(uri)
        self.in_pieces.clear()

    def write(self, uri: str, data: Content, content_type: str = "application/octet-stream") -> None:
        """What comes in pieces is put together later: the adapter sends it so too."""
        self.made.pop(uri, None)
        self.computed.pop(uri, None)
        if isinstance(data, bytes):
            super().write(uri, data, content_type)
            return
        super().write(uri, b"", content_type)
        self.computed[uri] = partial(b"".join, data)
        self.in_pieces.append(uri)

    def splice(self, source_uri: str, pieces: Sequence[slice | Piece], uri: str) -> None:
        """S3 copies what is large; what is read for the rest is counted as its adapter asks for it."""
        source = self._made(source_uri)
        if len(source) < multipart.PART_BYTES_MIN:
            self.count.requests += 2
            self.count.bytes += len(source)
        else:
            parts = multipart.plan(len(source), pieces)
            read = [
                each for part in parts if isinstance(part, list) for each in part if isinstance(each, range)
            ]
            # Opening the source, beginning and completing the upload, its parts, and what is read for them.
            self.count.requests += 3 + len(parts) + len(read)
            self.count.bytes += sum(map(len, read))
        view = memoryview(source)
        self.write(uri, [view[each] if isinstance(each, slice) else each for each in pieces])

    def _past(self, bucket: str) -> Keys:
        return self.past.get(bucket) or Keys(0, str)

    def _old(self, bucket: str, key: str) -> ObjectHead:
        return ObjectHead(bucket, key, "v1", 1000, "", "2026-01-01T00:00:00.000Z")

    def _version(self, bucket: str, key: str, version_id: str | None) -> Any:
        if key in self.deleted:
            return None
        if key in self.buckets.get(bucket, {}):
            return super()._version(bucket, key, version_id)
        if self._past(bucket).find(key) is not None:
            return fakes._Version("v1", b"x,y\n1,0\n", "text/csv", "2026-01-01T00:00:00.000Z")
        return super()._version(bucket, key, version_id)


class GrownRegistry(fakes.FakeRegistry):
    """A group of so many versions, all approved."""

    def __init__(self, past: int) -> None:
        super().__init__()
        self.past, self.count = past, Count()

    def packages(
        self, group: str, before: datetime | None = None, status: str | None = None
    ) -> Iterator[dict[str, Any]]:
        if status not in (None, "Approved"):
            return
        for listed, version in enumerate(range(self.past, 0, -1)):
            self.count.requests += listed % _PACKAGES_PER_REQUEST == 0
            self.count.items += 1
            yield {
                "ModelPackageArn": fakes.arn("sagemaker", f"model-package/{group}/{version}"),
                "ModelPackageVersion": version,
                "ModelApprovalStatus": "Approved",
                "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
            }
