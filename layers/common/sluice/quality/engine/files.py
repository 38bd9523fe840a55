"""Turn CSV, JSON lines and Parquet files into SQL relations, and say why one cannot be."""

# ruff: noqa: S608 - table functions take no bound values: `text` and `identifier` quote what goes into SQL

from __future__ import annotations

import itertools
import mmap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sluice.domain import wording
from sluice.domain.config.models import Data
from sluice.lazy import dataclass
from sluice.quality.engine import csv_text, inflate, line_ends, parquet_footer
from sluice.quality.engine.inflate import Compression
from sluice.quality.engine.limits import (
    COLUMNS_MAX,
    NESTING_MAX,
    BeyondLimitError,
    UnreadableError,
    refuse_same,
)
from sluice.quality.engine.sql import Cell, identifier, text
from sluice.quality.validation import DataFile

# With more malformed lines than this, a file does not have its format at all.
REJECTS_MAX = 1000
LINE_MAX_BYTES = 16 * 1024 * 1024
_FORMATS = {"csv": "CSV", "jsonl": "JSON lines", "parquet": "Parquet"}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
PARQUET_MAGIC = parquet_footer.MAGIC
_ROW_NUMBER = "file_row_number"
# DuckDB reads more files than twice its threads with one thread for each, which drops, without an error, a
# value in quotes that the end of its file cuts off.
_SCANNED_TOGETHER = 2
_TOLERANT = f"store_rejects = true, rejects_limit = {REJECTS_MAX}"
# A value that no text has.
_NO_VALUE = "'\x1fnothing\x1f'"
# Matches all of a line but its brackets.
_NO_BRACKETS = r"""'"(?:[^"\\]|\\.)*"|[^\[\]{}"]'"""
_PEELED, _BRACKETS_MAX, _DEEP_LINES_MAX = 10, 1_000_000, 100
Query = Callable[[str], list[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class Table:
    """A file as SQL: what reads it, its columns that the contract names, and all its column names.

    Tables with equal `shape` can be read as one relation. `row` is a row's number, from 1. A malformed line
    is an error; for text, `tolerant` skips such lines.
    """

    file: DataFile
    reader: Callable[[Sequence[Path]], str]
    cells: Mapping[str, Cell]
    names: tuple[str, ...]
    shape: tuple[Any, ...]
    row: str = "row_number() OVER ()"
    tolerant: Callable[[Sequence[Path]], str] | None = None

    @property
    def relation(self) -> str:
        return self.reader([self.file.path])

    def without_names(self) -> Table:
        """Return the table to keep while others are read: a thousand files may have a thousand names each."""
        return replace(self, names=())


class Storage:
    """A folder for inflated files, up to a number of bytes for all of them."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._left_bytes = limit_bytes
        self._known: dict[Path, tuple[Path, Compression]] = {}
        # Files in different folders may have the same name.
        self._numbers = itertools.count()

    def inflated(self, file: DataFile) -> tuple[Path, Compression]:
        """Return a path to read the file from, and its remaining compression; raises UnreadableError."""
        if file.path not in self._known:
            self._known[file.path] = self._readable(file)
        return self._known[file.path]

    def unify(self, file: DataFile) -> bool:
        """If the file has mixed line ends, read a copy with unified ones from now on."""
        path, kind = self.inflated(file)
        if kind != "none" or not line_ends.differ(path):
            return False
        size_bytes = path.stat().st_size
        try:
            self._take(size_bytes)
        except inflate.TooLargeError:
            raise UnreadableError(
                "has lines that end in different ways, and there is no storage to make them alike"
            ) from None
        target = self._new_path(file)
        line_ends.unify(path, target)
        self._left_bytes += size_bytes - target.stat().st_size
        self.release(file)
        self._known[file.path] = target, "none"
        return True

    def release(self, file: DataFile) -> None:
        """Delete the inflated file."""
        path, _ = self._known.get(file.path, (file.path, "none"))
        if path != file.path:
            del self._known[file.path]
            self._left_bytes += path.stat().st_size
            path.unlink()

    def _readable(self, file: DataFile) -> tuple[Path, Compression]:
        kind = inflate.compression(file.path)
        try:
            match kind:
                case "gzip":
                    return self._inflate(file), "none"
                case "zstd":
                    self._take(inflate.zstd_bound(file.path))
        except inflate.TruncatedError:
            raise UnreadableError(f"is damaged: its {kind} data end too early or are not sound") from None
        except inflate.TooLargeError:
            raise UnreadableError(
                f"inflates to more than is left of {self._limit_bytes} bytes of storage: split the data, "
                "or give the function more ephemeral storage"
            ) from None
        return file.path, kind

    def _inflate(self, file: DataFile) -> Path:
        target = self._new_path(file)
        try:
            self._take(inflate.inflate_gzip(file.path, target, self._left_bytes))
        except (inflate.TruncatedError, inflate.TooLargeError):
            target.unlink()
            raise
        return target

    def _new_path(self, file: DataFile) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{next(self._numbers)}-{file.path.name[-100:]}"

    def _take(self, size_bytes: int) -> None:
        if size_bytes > self._left_bytes:
            raise inflate.TooLargeError
        self._left_bytes -= size_bytes


def open_table(query: Query, file: DataFile, data: Data, storage: Storage) -> Table:
    """Open a file in the contract's format; raises UnreadableError."""
    if file.path.stat().st_size == 0:
        raise UnreadableError("is empty")
    path, compression = storage.inflated(file)
    if path.stat().st_size == 0:
        raise UnreadableError("is empty")
    _refuse_other_format(path, data)
    _refuse_long_lines(query, path, data, compression)
    readable = DataFile(file.key, path)
    match data.format:
        case "csv":
            return _csv_table(query, readable, data, compression)
        case "jsonl":
            return _jsonl_table(query, readable, data, compression)
        case "parquet":
            return _parquet_table(query, readable, data, compression)


def _refuse_other_format(path: Path, data: Data) -> None:
    """Raise if the first bytes show that a file has another format."""
    if data.format == "parquet":
        return
    with path.open("rb") as file:
        start = file.read(4)
    if start == PARQUET_MAGIC:
        raise UnreadableError(f"is a Parquet file, not {_FORMATS[data.format]}, as data.format says")
    if _is_utf16(start):
        raise UnreadableError("is UTF-16 text: save it as UTF-8")


def _is_utf16(start: bytes) -> bool:
    """Tell whether a file begins with UTF-16's mark, or with two ASCII characters in UTF-16."""
    zeros = [byte == 0 for byte in start[:4]]
    return start.startswith(_UTF16) or zeros in ([True, False] * 2, [False, True] * 2)


def _refuse_long_lines(query: Query, path: Path, data: Data, compression: Compression) -> None:
    """Raise for a line above the maximum: DuckDB silently skips lines above its buffer."""
    if data.format == "parquet":
        return
    if compression == "zstd":
        try:
            query(f"SELECT count(*) FROM {_lines([path], compression, is_probe=True)}")
        except UnreadableError:
            message = (
                f"has a line of more than {LINE_MAX_BYTES} bytes, text that is not UTF-8, "
                "or lines that end in different ways"
            )
            raise UnreadableError(message) from None
    elif (start := _long_line(path)) is not None:
        raise UnreadableError(f"has a line of more than {LINE_MAX_BYTES} bytes, from byte {start}")


def _long_line(path: Path) -> int | None:
    """Find where a line above the maximum begins, by looking only at line ends."""
    size, start = path.stat().st_size, 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        while size - start > LINE_MAX_BYTES:
            end = text.rfind(b"\n", start, start + LINE_MAX_BYTES)
            if end < 0:
                return start
            start = end + 1
    return None


def _csv_table(query: Query, file: DataFile, data: Data, compression: Compression) -> Table:
    """Make the table with columns by position, so that a header cannot be a bad identifier."""
    written, quote = data.csv, text(data.csv.quote)
    header = csv_text.header(head(query, file.path, compression), data)
    if compression == "none":
        csv_text.refuse_misread(file.path, data)
    count = len(header)

    def scan(paths: Sequence[Path], how: str) -> str:
        columns = {f"column{index}": "VARCHAR" for index in range(count)}
        # DuckDB drops empty values beyond the header: so define no null string here.
        return (
            f"read_csv({_paths(paths)}, auto_detect = false, header = {written.header}, "
            f"delim = {text(written.delimiter)}, quote = {quote}, escape = {quote}, nullstr = {_NO_VALUE}, "
            f"columns = {columns}, compression = '{compression}', max_line_size = {LINE_MAX_BYTES}{how})"
        )

    def read(paths: Sequence[Path], how: str) -> str:
        starts = range(0, len(paths), _SCANNED_TOGETHER)
        scans = [scan(paths[start : start + _SCANNED_TOGETHER], how) for start in starts]
        if len(scans) == 1:
            return scans[0]
        return f"({' UNION ALL '.join(f'SELECT *, filename FROM {each}' for each in scans)})"

    cells = {
        name: Cell(f"nullif(column{index}, '')") for index, name in enumerate(header) if name in data.columns
    }
    # Do not keep each file's header: there may be thousands of files with thousands of names.
    shape = (compression, count, hash(tuple(header)))
    return Table(
        file,
        lambda paths: read(paths, ""),
        cells,
        tuple(header),
        shape,
        tolerant=lambda paths: read(paths, f", {_TOLERANT}"),
    )


def around_malformed(table: Table, data: Data) -> Table | None:
    """Return the table without its malformed lines, which a scan rejects; None if that is impossible.

    Raises UnreadableError for a file that no scan would finish.
    """
    if table.tolerant is None:
        return None
    if "zstd" not in table.shape:
        csv_text.refuse_great_excess(table.file.path, len(table.names), data)
    return replace(table, reader=table.tolerant, tolerant=None, shape=(*table.shape, _TOLERANT))


def head(query: Query, path: Path, compression: Compression) -> str:
    """Read the beginning of a text file; bad bytes become surrogates, which can be recognized."""
    if compression == "zstd":
        lines = query(f"SELECT line FROM {_lines([path], compression)} LIMIT 64")
        return "".join(f"{line}\n" for (line,) in lines)
    with path.open("rb") as file:
        start = file.read(LINE_MAX_BYTES)
    return start.decode("utf-8-sig", errors="surrogateescape")


def _jsonl_table(query: Query, file: DataFile, data: Data, compression: Compression) -> Table:
    """Make the table of a file with one JSON object on each line, by looking columns up in it."""
    relation = _lines([file.path], compression)
    _refuse_json_lines(query, relation)

    def reader(paths: Sequence[Path]) -> str:
        return _lines(paths, compression)

    keys = query(f"SELECT DISTINCT unnest(json_keys(line)) AS name FROM {relation} LIMIT {COLUMNS_MAX + 1}")
    if len(keys) > COLUMNS_MAX:
        raise BeyondLimitError(
            f"has more than {COLUMNS_MAX} different names in its lines, the most that are read"
        )
    names = tuple(sorted(name for (name,) in keys))
    cells = {
        name: Cell(f"json_extract_string(line, {_pointer(name)})") for name in data.columns if name in names
    }
    return Table(file, reader, cells, names, (compression, *cells))


def _refuse_json_lines(query: Query, relation: str) -> None:
    """Raise for lines that are not an object or exceed the limits."""
    judged = (
        "SELECT row_number() OVER () AS row, "
        "CASE WHEN json_valid(line) THEN json_type(line) <> 'OBJECT' ELSE true END AS is_bad, "
        f"{_has_many_names('line')} AS is_wide, {_may_be_deep('line')} AS may_be_deep FROM {relation}"
    )
    ((malformed, first, wide, may_be_deep),) = query(
        "SELECT count_if(is_bad), min(row) FILTER (WHERE is_bad), min(row) FILTER (WHERE is_wide), "
        f"bool_or(may_be_deep) FROM ({judged})"
    )
    if wide:
        raise BeyondLimitError(f"has more than {COLUMNS_MAX} names in line {wide}, the most that are read")
    if may_be_deep:
        _refuse_deep_lines(query, relation)
    if malformed:
        lines = f"{wording.count(malformed, 'line')} that {'is' if malformed == 1 else 'are'}"
        raise UnreadableError(
            f"has {lines} no JSON object, the first is line {first}: write one object a line"
        )


def _has_many_names(line: str) -> str:
    """Write SQL for whether a line has too many names at any depth; most lines are too short for that."""
    spaced = f"replace({line}, '\" :', '\":')"
    names = f"strlen(replace({spaced}, '\":', '\"::')) - strlen({spaced})"
    return f"CASE WHEN strlen({line}) <= {5 * COLUMNS_MAX} THEN false ELSE {names} > {COLUMNS_MAX} END"


def _refuse_deep_lines(query: Query, relation: str) -> None:
    left = _innermost_peeled("line")
    found = query(
        f"SELECT row, strlen(brackets), left(brackets, {_BRACKETS_MAX}) FROM (SELECT row, {left} AS brackets "
        f"FROM (SELECT line, row_number() OVER () AS row FROM {relation}) WHERE {_may_be_deep('line')}) "
        f"WHERE strlen(brackets) > {2 * (NESTING_MAX - _PEELED)} ORDER BY row LIMIT {_DEEP_LINES_MAX}"
    )
    for row, length, brackets in found:
        if length > _BRACKETS_MAX or _depth(brackets) + _PEELED > NESTING_MAX:
            raise BeyondLimitError(
                f"is nested deeper than {NESTING_MAX} in line {row}, the most that is read"
            )


def _may_be_deep(line: str) -> str:
    opened = f"strlen({line}) - strlen(replace(replace({line}, '[', ''), '{{', ''))"
    return (
        f"CASE WHEN strlen({line}) <= {2 * NESTING_MAX} THEN false ELSE coalesce({opened}, 0) "
        f"> {NESTING_MAX} END"
    )


def _innermost_peeled(line: str) -> str:
    """Write SQL for a line's brackets without the innermost, which are most: few lines have any left."""
    left = f"regexp_replace({line}, {_NO_BRACKETS}, '', 'g')"
    for _ in range(_PEELED):
        left = f"replace(replace({left}, '[]', ''), '{{}}', '')"
    return left


def _depth(brackets: str) -> int:
    return max(itertools.accumulate(1 if bracket in "[{" else -1 for bracket in brackets), default=0)


def json_kind(name: str) -> str:
    """Write SQL for a column's type in a JSON line."""
    return f"json_type(line, {_pointer(name)})"


def _parquet_table(query: Query, file: DataFile, data: Data, compression: Compression) -> Table:
    if compression != "none":
        raise UnreadableError("is a Parquet file inside zstd: use zstd as the codec within Parquet")

    names = parquet_footer.columns(file.path)
    refuse_same(names)

    def reader(paths: Sequence[Path]) -> str:
        # A folder such as dt=2026-01-01 is part of the key, not a column.
        return f"read_parquet({_paths(paths)}, hive_partitioning = false)"

    # DuckDB renames columns that differ only in case.
    described = [(name, kind) for name, kind, *_ in query(f"DESCRIBE SELECT * FROM {reader([file.path])}")]
    if len(described) != len(names):
        raise UnreadableError(parquet_footer.NO_FILE)
    cells = {
        name: Cell(identifier(read), kind)
        for name, (read, kind) in zip(names, described, strict=True)
        if name in data.columns
    }
    # DuckDB numbers rows with all threads; a column of that name would hide the number.
    is_hidden = _ROW_NUMBER in map(str.lower, names)
    row = "row_number() OVER ()" if is_hidden else f"{_ROW_NUMBER} + 1"
    return Table(file, reader, cells, names, (*described, hash(names)), row)


def _lines(paths: Sequence[Path], compression: Compression, *, is_probe: bool = False) -> str:
    """Write SQL for text files as a relation of `line` with its `filename`, split only at line ends.

    A probe raises for the first malformed line, with one thread. Otherwise a line is cut at a control
    character that JSON cannot contain, so that such a line is not JSON.
    """
    rejects = "parallel = false" if is_probe else f"strict_mode = false, {_TOLERANT}"
    return (
        f"(SELECT line, filename FROM read_csv({_paths(paths)}, auto_detect = false, header = false, "
        f"delim = '\x1f', quote = '', escape = '', columns = {{'line': 'VARCHAR'}}, "
        f"compression = '{compression}', {rejects}, max_line_size = {LINE_MAX_BYTES}) "
        "WHERE trim(line) <> '')"
    )


def _paths(paths: Sequence[Path]) -> str:
    return f"[{', '.join(text(str(path)) for path in paths)}]"


def _pointer(name: str) -> str:
    return text("/" + name.replace("~", "~0").replace("/", "~1"))
