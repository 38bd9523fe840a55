"""Read CSV as Python's own reader does, which users use: the header, and lines with too many values."""

from __future__ import annotations

import csv
import io
import mmap
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sluice.domain.config.models import Data
from sluice.quality.engine.limits import UnreadableError, refuse_many_columns, refuse_same

SANE_DELIMITERS = (",", ";", "\t", "|")
# DuckDB's time grows with the square of a line's excess values.
_EXCESS_MAX = 2000
_NAMED = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "vertical bars", " ": "spaces"}
_CHUNK = 1 << 20
_WINDOW = 256
BOM = b"\xef\xbb\xbf"
_IN_NAMES = "\t\n\r"


def header(start: str, data: Data) -> list[str]:
    """Return the column names of a file from its beginning; raises UnreadableError."""
    names = first_line(start, data.csv.delimiter, data.csv.quote)
    refuse_many_columns(len(names))
    _refuse_other_delimiter(start, names, data)
    if not data.csv.header:
        return list(data.columns)
    characters = {character for name in names for character in name}
    if any("\udc80" <= character <= "\udcff" for character in characters):
        raise UnreadableError("is no CSV: it is not UTF-8 text")
    if any(unicodedata.category(c) == "Cc" and c not in _IN_NAMES for c in characters):
        raise UnreadableError("is no CSV: its first line has control characters")
    if not any(names):
        raise UnreadableError("has no header: its first line is empty")
    refuse_same(names)
    return names


def first_line(start: str, delimiter: str, quote: str) -> list[str]:
    try:
        lines = csv.reader(io.StringIO(start, newline=""), delimiter=delimiter, quotechar=quote, strict=True)
        return next(lines, [])
    except csv.Error:
        raise UnreadableError("is no CSV: its first line cannot be split into names") from None


def refuse_great_excess(path: Path, columns: int, data: Data) -> None:
    """Raise if lines have so many excess values that DuckDB would not finish."""
    excess = lines = first = 0
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        read = csv.reader(
            _of_sane_lines(file, columns, data), delimiter=data.csv.delimiter, quotechar=data.csv.quote
        )
        try:
            for values in read:
                if len(values) > columns:
                    excess += len(values) - columns
                    lines += 1
                    first = first or read.line_num
                if excess > _EXCESS_MAX:
                    raise UnreadableError(
                        f"has lines with more values than the header, at least {lines}, "
                        f"the first in line {first}"
                    )
        except csv.Error:
            # DuckDB's message says more.
            return


def refuse_misread(path: Path, data: Data) -> None:
    """Raise for spaces that DuckDB ignores and other readers keep as part of a value."""
    delimiter, quote = data.csv.delimiter.encode(), data.csv.quote.encode()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        if _has_space_after_return(text, quote):
            # The caller then reads it with unified line ends.
            raise UnreadableError("has lines that end in different ways")
        if b" " not in (delimiter, quote):
            _refuse_spaced_quotes(text, quote, delimiter)


def _has_space_after_return(text: mmap.mmap, quote: bytes) -> bool:
    """Tell whether a space follows a line that ends in CR, among lines with other ends."""
    if text.find(b"\r ") < 0 or text.find(b"\n") < 0:
        return False
    places = (match.start() for match in re.finditer(rb"\r ", text))
    return _outside(text, quote, places) < len(text)


def _refuse_spaced_quotes(text: mmap.mmap, quote: bytes, delimiter: bytes) -> None:
    """Raise if there is a space around a quoted value."""
    found = min(_spaces_before(text, quote, delimiter), _spaces_after(text, quote, delimiter))
    if found < len(text):
        line = _count(text, 0, found, b"\n") + 1
        raise UnreadableError(
            f"has a space between a quote and a delimiter or line end, in line {line}: "
            "readers do not agree on what that is"
        )


def _spaces_before(text: mmap.mmap, quote: bytes, delimiter: bytes) -> int:
    """Find where a value begins with spaces and a quote, outside others: after an even number of quotes."""
    return _outside(text, quote, _spaced_beginnings(text, quote, delimiter))


def _spaced_beginnings(text: mmap.mmap, quote: bytes, delimiter: bytes) -> Iterator[int]:
    """Yield where spaces before a quote begin that follow a delimiter, a line end or nothing.

    It looks for a space and a quote, which most text lacks, and not for what may be before them.
    """
    at = text.find(b" " + quote)
    while at >= 0:
        start = _before_spaces(text, at)
        before = text[max(0, start - len(delimiter)) : start]
        is_first = start == 0 or (start == len(BOM) and text[:start] == BOM)
        if is_first or before == delimiter or before.endswith((b"\r", b"\n")):
            yield start
        at = text.find(b" " + quote, at + 1)


def _before_spaces(text: mmap.mmap, end: int) -> int:
    """Return where the spaces begin that end here."""
    while end and (left := text[max(0, end - _WINDOW) : end]):
        spaces = len(left) - len(left.rstrip(b" "))
        end -= spaces
        if spaces < len(left):
            break
    return end


def _spaces_after(text: mmap.mmap, quote: bytes, delimiter: bytes) -> int:
    """Find where a value ends with a quote and spaces: after an even number of quotes, including that."""
    if text.find(quote + b" ") < 0:
        return len(text)
    after = rb"%b +(?=[\r\n]|\Z|%b)" % (re.escape(quote), re.escape(delimiter))
    return _outside(text, quote, (match.start() + len(quote) for match in re.finditer(after, text)))


def _outside(text: mmap.mmap, quote: bytes, places: Iterable[int]) -> int:
    """Return the first of the places with an even number of quotes before it."""
    quotes = counted = 0
    for place in places:
        is_near = place - counted <= _CHUNK
        quotes += text[counted:place].count(quote) if is_near else _count(text, counted, place, quote)
        counted = place
        if quotes % 2 == 0:
            return place
    return len(text)


def _count(text: mmap.mmap, start: int, end: int, of: bytes) -> int:
    return sum(text[at : min(at + _CHUNK, end)].count(of) for at in range(start, end, _CHUNK))


def _of_sane_lines(file: Iterable[str], columns: int, data: Data) -> Iterator[str]:
    """Yield lines, and raise for one with millions of values."""
    for number, line in enumerate(file, 1):
        excess = line.count(data.csv.delimiter) - columns
        if excess > _EXCESS_MAX and data.csv.quote not in line:
            raise UnreadableError(f"has a line of {excess} more values than the header: line {number}")
        yield line


def _refuse_other_delimiter(start: str, names: Sequence[str], data: Data) -> None:
    """Raise if a file uses another delimiter than the contract, which scripts use too."""

    def fit(names: Sequence[str]) -> int:
        return (
            len(data.columns.keys() & set(names)) if data.csv.header else -abs(len(names) - len(data.columns))
        )

    for other in SANE_DELIMITERS:
        if other == data.csv.delimiter or len(names) > 1:
            continue
        try:
            better = fit(first_line(start, other, data.csv.quote)) > fit(names)
        except UnreadableError:
            continue
        if better:
            raise UnreadableError(
                f"is separated by {_named(other)}, not by {_named(data.csv.delimiter)}, "
                "as data.csv.delimiter says"
            )


def _named(delimiter: str) -> str:
    return _NAMED.get(delimiter, repr(delimiter))
