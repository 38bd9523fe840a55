"""How commands speak: tables for people, JSON for scripts, hints on stderr."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich import markup
from rich.console import Console
from rich.table import Table
from rich.text import Text

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Wider than any row.
_UNFOLDED = 10_000


def console(**where: Any) -> Console:
    """A console that folds to a terminal's width; what reads a pipe gets a row a line."""
    made = Console(highlight=False, soft_wrap=True, **where)
    if not made.is_terminal:
        made.width = _UNFOLDED
    return made


out = console()
err = console(stderr=True)

STATUS_STYLES = {
    "registered": "green",
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
    "quarantined": "yellow",
    "rolled_back": "yellow",
    "failed": "red",
    "Failed": "red",
    "Rejected": "red",
    "ALARM": "red",
}


def escape(text: str) -> str:
    """Text from elsewhere as a terminal shows it: it is no markup, and no control character takes effect."""
    return markup.escape(_CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text))


def print_json(value: Any) -> None:
    """Write one JSON document to stdout, for scripts."""
    out.out(json.dumps(value, indent=2, sort_keys=True, default=str), highlight=False)


def styled(status: object) -> Text:
    """A status in its colour (colour shows on a terminal only)."""
    return Text(str(status), style=STATUS_STYLES.get(str(status), ""))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows under column heads, or a sentence when there are none."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    count = 0
    for row in rows:
        table.add_row(
            *(cell if isinstance(cell, Text) else "" if cell is None else escape(str(cell)) for cell in row)
        )
        count += 1
    if count:
        out.print(table)
    else:
        out.print(empty)


@dataclass
class Invocation:
    """How this command was called, so that the next one can be called alike."""

    program: str = "sluice"
    options: str = ""

    def command(self, arguments: str) -> str:
        """What to type from here for `sluice ARGUMENTS` to reach the same stack."""
        return " ".join(filter(None, (self.program, self.options, arguments)))


invocation = Invocation()


def hint(text: str) -> None:
    """Say what to type next, on stderr so that pipes stay clean.

    `sluice` is spelt so that it is found from here, and a next step goes to the stack of this one.
    """
    called = invocation.command("") if text.startswith("next:") else invocation.program
    err.print(Text(text.replace("`sluice ", f"`{called} "), style="dim"))


def here(path: Path) -> str:
    """A path as it is typed from the current folder."""
    return min(os.path.relpath(path), str(path), key=len)


def age(iso: str | None, now: datetime | None = None) -> str:
    """How long ago an ISO 8601 time was, in the largest fitting unit."""
    if not iso:
        return ""
    seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(iso)).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit} ago"
    return f"{max(0, int(seconds))}s ago"


def duration(start: str | None, end: str | None) -> str:
    """Seconds between two ISO 8601 times."""
    if not start or not end:
        return ""
    return f"{(datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds():.1f}s"


def short(digest: str | None) -> str:
    """The first 12 hex digits of a digest."""
    return (digest or "")[:12]
