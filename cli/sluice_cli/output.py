"""Print what commands say: tables for people, JSON for scripts, hints on stderr."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich import markup
from rich.cells import cell_len
from rich.console import Console
from rich.status import Status
from rich.text import Text

from sluice.domain import wording
from sluice.domain.build import usage

# And lone surrogates, which are not in UTF-8: Python has the bytes of a name that is no text as such.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
# What is never broken: a command in backticks, or a word.
_WORD = re.compile(r"\s*(?:`[^`]*`\S*|\S+)")
# Wider than any row.
_UNFOLDED = 10_000
_GAP = 2
_INDENT = 4
_HANGING = 2
# Where no line can be kept up to date.
_SAY_EVERY_S = 10.0


def console(**where: Any) -> Console:
    """Make a console that wraps between words at a terminal's width; in a pipe a row stays a line.

    NO_COLOR leaves out bold and dim too.
    """
    if os.environ.get("NO_COLOR"):
        where = {"color_system": None, **where}
    made = _Console(highlight=False, emoji=False, **where)
    if not made.is_terminal:
        made.width = _UNFOLDED
    return made


def following(status: Status, name: str) -> Callable[[str], None]:
    """Return what says what `name` does: in a terminal's status line, elsewhere by a line now and then."""
    said_at = float("-inf")

    def say(doing: str) -> None:
        nonlocal said_at
        text = escape(f"{name}: {doing}")
        if err.is_terminal:
            status.update(text)
        elif time.monotonic() >= said_at + _SAY_EVERY_S:
            said_at = time.monotonic()
            err.print(f"[dim]{text}[/]")

    return say


class _Console(Console):
    """Wraps text for people; never breaks a command in backticks or a word, however long.

    `out` writes text for programs unchanged.
    """

    def print(self, *objects: Any, **how: Any) -> None:
        is_as_it_is = how.get("soft_wrap") or how.get("no_wrap")  # `Console.out` sets the latter
        if is_as_it_is or not all(isinstance(each, str | Text) for each in objects):
            super().print(*objects, **how)
            return
        parts = [Text.from_markup(each, emoji=False) if isinstance(each, str) else each for each in objects]
        text = Text(" ", style=how.pop("style", "")).join(parts)
        for line in text.split("\n", allow_blank=True):
            for piece in wrapped(line, self.width):
                super().print(piece, **{**how, "soft_wrap": True})


def wrapped(text: Text, width: int) -> list[Text]:
    """Break a text between words into lines; those after the first are indented a little more."""
    indent = len(text.plain) - len(text.plain.lstrip()) + _HANGING
    breaks, start = list[int](), 0
    for word in _WORD.finditer(text.plain):
        room = width - (indent if breaks else 0)
        if word.start() > start and cell_len(text.plain[start : word.end()]) > room:
            start = word.start() + len(word[0]) - len(word[0].lstrip())
            breaks.append(start)
    first, *others = text.divide(breaks)
    lines = [first, *(Text(" " * indent) + line for line in others)]
    for line in lines:
        line.rstrip()
    return lines


out = console()
err = console(stderr=True)

STATUS_STYLES = {
    "registered": "green",
    "passed": "green",
    "released": "green",
    "live": "green",
    "valid": "green",
    "included": "green",
    "InService": "green",
    "Approved": "green",
    "Completed": "green",
    "OK": "green",
    "running": "cyan",
    "deploying": "cyan",
    "pending": "cyan",
    "InProgress": "cyan",
    "Updating": "cyan",
    "PendingManualApproval": "yellow",
    "skipped": "dim",
    "superseded": "dim",
    "rejected": "yellow",
    "refused": "yellow",
    "data_rejected": "yellow",
    "reproduced": "green",
    "differed": "yellow",
    "quarantined": "yellow",
    "rolled_back": "yellow",
    "failed": "red",
    "stopped": "yellow",
    "Stopped": "yellow",
    "Failed": "red",
    "Rejected": "red",
    "ALARM": "red",
}


def printable(text: str) -> str:
    """Make the control characters of foreign text, and bytes that are no text, visible and harmless."""
    return _CONTROL.sub(lambda found: _spelt(ord(found[0])), text)


def _spelt(code: int) -> str:
    """Spell a character; a byte that Python keeps as a lone surrogate as that byte."""
    byte = code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code
    return f"\\x{byte:02x}" if byte < 0x100 else f"\\u{byte:04x}"


def escape(text: str) -> str:
    """Escape foreign text for a terminal: neither its markup nor its control characters take effect."""
    return markup.escape(printable(text))


def print_json(value: Any) -> None:
    """Write one JSON document to stdout, for scripts."""
    out.out(json.dumps(value, indent=2, sort_keys=True, default=str), highlight=False)


def styled(status: object) -> Text:
    """Colour a status (only a terminal shows it)."""
    return Text(str(status), style=STATUS_STYLES.get(str(status), ""))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows under column heads, or a sentence if there are none.

    Values are not broken: if rows are wider than the terminal, as many of the last columns as needed move
    beneath their row; if that leaves only the first, all of them are named there.
    """
    columns = [printable(name) for name in columns]
    table = [[_cell(value) for value in row] for row in rows]
    widths = [
        max(cell.cell_len for cell in (Text(name), *(row[i] for row in table)))
        for i, name in enumerate(columns)
    ]
    if not table:
        out.print(empty)
    elif kept := next((count for count in range(len(widths), 1, -1) if _fits(widths[:count])), None):
        _print_rows(columns, table, widths, kept)
    else:
        for row in table:
            out.print(row[0])
            _print_beneath(_named(columns[1:], row[1:]))


def _cell(value: object) -> Text:
    """Put a value on one line, even if it has several, and commas into a number; a Text stays as it is."""
    if isinstance(value, Text):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Text(f"{value:,}")
    return Text(" ".join(printable(str(value)).split()) if value is not None else "")


def _fits(widths: Sequence[int]) -> bool:
    return sum(widths) + _GAP * (len(widths) - 1) <= out.width


def _print_rows(
    columns: Sequence[str], rows: Iterable[Sequence[Text]], widths: Sequence[int], kept: int
) -> None:
    """Print the first `kept` columns under heads, and the others beneath their row; one alone has no name."""
    others = columns[kept:]
    for row in ([Text(name, style="bold") for name in columns[:kept]], *rows):
        cells = [_padded(cell, width) for cell, width in zip(row[:kept], widths, strict=False)]
        line = Text(" " * _GAP).join(cells)
        line.rstrip()
        out.print(line, soft_wrap=True)
        _print_beneath(_named(others, row[kept:]) if len(others) > 1 else row[kept:])


def _named(columns: Sequence[str], cells: Sequence[Text]) -> Iterator[Text]:
    """Yield the cells that are not empty, each with its column's name."""
    for name, cell in zip(columns, cells, strict=False):
        if cell:
            yield Text.assemble((f"{name}: ", "dim"), cell)


def _padded(cell: Text, width: int) -> Text:
    return cell + Text(" " * (width - cell.cell_len))


def _print_beneath(parts: Iterable[Text]) -> None:
    """Print parts beneath a row, as many on a line as fit; wrap those that are longer than a line."""
    line = Text()
    for part in parts:
        if line and line.cell_len + _GAP + part.cell_len > out.width - _INDENT:
            _print_indented(line)
            line = Text()
        line = Text(" " * _GAP).join([line, part]) if line else part
    if line:
        _print_indented(line)


def _print_indented(text: Text) -> None:
    out.print(Text(" " * _INDENT) + text)


@dataclass
class Invocation:
    """How this command was called, so that hints can repeat it."""

    program: str = "sluice"
    options: str = ""

    def command(self, arguments: str) -> str:
        """Return what to type here so that `sluice ARGUMENTS` reaches the same stack."""
        return " ".join(filter(None, (self.program, self.options, arguments)))


invocation = Invocation()


def hint(text: str) -> None:
    """Print what to type next, on stderr so that pipes stay clean.

    `sluice` is written so that the shell finds it from here, with the options that reach the same stack.
    """
    called = invocation.command("") if text.startswith("next:") else invocation.program
    err.print(Text(printable(text).replace("`sluice ", f"`{called} "), style="dim"))


def here(path: Path) -> str:
    """Return a path as it is typed from the current folder."""
    return min(os.path.relpath(path), str(path), key=len)


def age(iso: str | None, now: datetime | None = None) -> str:
    """Tell how long ago an ISO 8601 time was, or in how long it will be, in the largest fitting unit.

    Less than a minute ahead is now: clocks differ.
    """
    if not iso:
        return ""
    seconds = _seconds_since(iso, now)
    return f"in {_span(-seconds)}" if seconds <= -60 else f"{_span(seconds)} ago"


def lasting(iso: str, now: datetime | None = None) -> str:
    """Tell for how long something has been so that began at an ISO 8601 time."""
    return f"for {_span(_seconds_since(iso, now))}"


def _seconds_since(iso: str, now: datetime | None) -> float:
    return ((now or datetime.now(UTC)) - datetime.fromisoformat(iso)).total_seconds()


def _span(seconds: float) -> str:
    """Write a span in the largest fitting unit; one that ends before it begins is none, as clocks differ."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"


def since(item: Mapping[str, Any]) -> str:
    """Tell how long ago a run or a release came to its status: it ended, or started if it is under way."""
    if ended_at := item.get("ended_at"):
        return age(ended_at)
    started = age(item.get("started_at"))
    return f"(started {started})" if started else ""


def took(seconds: float | None) -> str:
    """Format how long a step took; nothing if that is not known."""
    return "" if seconds is None else f"{seconds:.1f}s"


def duration(start: str | None, end: str | None) -> str:
    """Format the seconds between two ISO 8601 times."""
    return took(usage.seconds(start, end))


def short(digest: str | None) -> str:
    """Return the first 12 hex digits of a digest."""
    return (digest or "").removeprefix("sha256:")[:12]


def metric(name: str, value: float | None) -> str:
    """Format a measured metric; None stands for a value that was not finite."""
    return f"{name} {'is not finite' if value is None else wording.number(float(value))}"
