"""Print a table of a benchmark for people and, with `--json FILE`, write the same figures for tools."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value beside its peer or physical floor; `ratio` is value / peer."""

    name: str
    value: float
    unit: str
    peer: float | None = None
    peer_name: str = ""

    @property
    def ratio(self) -> float | None:
        return self.value / self.peer if self.peer else None


def arguments(
    description: str, add_options: Callable[[argparse.ArgumentParser], None] | None = None
) -> argparse.Namespace:
    """Parse the options of all benchmarks and those of this one.

    One that is told to end, as by `timeout`, tears down too: SIGTERM alone would leave its cloud behind.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    parser = argparse.ArgumentParser(description=description)
    if add_options:
        add_options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions; ends within a minute")
    return parser.parse_args()


def report(title: str, figures: list[Figure], json_path: Path | None, notes: Sequence[str] = ()) -> None:
    """Print the table and notes, and write the JSON if requested."""
    table = Table(title=title, title_justify="left", box=None)
    for column in ("figure", "value", "unit", "peer", "ratio"):
        table.add_column(column, justify="left" if column in ("figure", "unit") else "right")
    for figure in figures:
        peer = "" if figure.peer is None else f"{figure.peer:.4g} {figure.peer_name}".strip()
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        table.add_row(figure.name, f"{figure.value:.4g}", figure.unit, peer, ratio)
    console = Console()
    console.print(table)
    for note in notes:
        console.print(note, markup=False)
    if json_path:
        rows = [{**asdict(figure), "ratio": figure.ratio} for figure in figures]
        json_path.write_text(json.dumps({"figures": rows, "notes": list(notes)}, indent=2) + "\n")
