"""Read a Parquet file's description of its columns before an engine loads it.

The footer is a Thrift structure in the compact protocol (parquet-format, FileMetaData). In memory it takes
some fifty times its size, so its size and its number of columns are checked first.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sluice.quality.engine.limits import BeyondLimitError, UnreadableError, refuse_many_columns

FOOTER_MAX_BYTES = 16 * 1024 * 1024
MAGIC = b"PAR1"
NO_FILE = "cannot be read: it is not of the format the contract names"
# The numbers of FileMetaData.schema and fields of SchemaElement; types of the compact protocol.
_SCHEMA, _NAME, _CHILDREN = 2, 4, 5
_BOOLEANS, _INTEGERS, _BINARY, _LISTS, _STRUCT = {1, 2}, {4, 5, 6}, 8, {9, 10}, 12
# A byte and a double.
_SIZES = {3: 1, 7: 8}


class _DamagedError(Exception):
    """The footer is not a Thrift structure of this kind."""


def columns(path: Path) -> tuple[str, ...]:
    """Return the names of the columns exactly as in the file; raises UnreadableError."""
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size_bytes - 8))
        end = file.read(8)
        length = int.from_bytes(end[:4], "little")
        if end[4:] != MAGIC or length > size_bytes - 8:
            raise UnreadableError(NO_FILE)
        if length > FOOTER_MAX_BYTES:
            raise BeyondLimitError(
                f"has a footer of {length} bytes, more than {FOOTER_MAX_BYTES}, the most that is read: "
                "write fewer columns or larger row groups"
            )
        file.seek(size_bytes - 8 - length)
        footer = file.read(length)
    try:
        return _Footer(footer).columns()
    except (_DamagedError, IndexError):
        raise UnreadableError(NO_FILE) from None


class _Footer:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def columns(self) -> tuple[str, ...]:
        for field, kind in self._fields():
            if field == _SCHEMA and kind in _LISTS:
                return self._schema()
            self._skip(kind)
        raise _DamagedError

    def _schema(self) -> tuple[str, ...]:
        """Read the elements: a tree in depth-first order, below a root that is not a column."""
        count, kind = self._list_head()
        if kind != _STRUCT:
            raise _DamagedError
        # Count groups of nested columns too, as they are also read.
        refuse_many_columns(count - 1)
        names: list[str] = []
        self._element()
        left: list[int] = []
        for _ in range(count - 1):
            name, children = self._element()
            if not left:
                names.append(name)
            else:
                left[-1] -= 1
            if children:
                left.append(children)
            while left and not left[-1]:
                left.pop()
        return tuple(names)

    def _element(self) -> tuple[str, int]:
        name, children = b"", 0
        for field, kind in self._fields():
            if field == _NAME and kind == _BINARY:
                name = self._binary()
            elif field == _CHILDREN and kind in _INTEGERS:
                children = self._zigzag()
            else:
                self._skip(kind)
        return name.decode("utf-8", errors="replace"), children

    def _fields(self) -> Iterator[tuple[int, int]]:
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._zigzag()
            yield field, head & 0x0F

    def _skip(self, kind: int, depth: int = 0, *, in_list: bool = False) -> None:
        if depth > 16:
            raise _DamagedError
        if kind in _SIZES:
            self._at += _SIZES[kind]
        elif kind in _BOOLEANS:
            # Elsewhere the type is the value.
            self._at += in_list
        elif kind in _INTEGERS:
            self._varint()
        elif kind == _BINARY:
            self._binary()
        elif kind in _LISTS:
            count, item = self._list_head()
            for _ in range(count):
                self._skip(item, depth + 1, in_list=True)
        elif kind == _STRUCT:
            for _, inner in self._fields():
                self._skip(inner, depth + 1)
        else:
            raise _DamagedError

    def _list_head(self) -> tuple[int, int]:
        head = self._byte()
        count = head >> 4
        if count == 0x0F:
            count = self._varint()
        # Each item takes a byte or more: a number of items alone must not keep us busy.
        if count > len(self._data) - self._at:
            raise _DamagedError
        return count, head & 0x0F

    def _binary(self) -> bytes:
        length = self._varint()
        if length > len(self._data) - self._at:
            raise _DamagedError
        self._at += length
        return self._data[self._at - length : self._at]

    def _zigzag(self) -> int:
        number = self._varint()
        return (number >> 1) ^ -(number & 1)

    def _varint(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7
            if shift > 63:
                raise _DamagedError

    def _byte(self) -> int:
        byte = self._data[self._at]
        self._at += 1
        return byte
