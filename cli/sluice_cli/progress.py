"""Print steps with their durations: live on a terminal, elsewhere one line each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.status import Status


@dataclass
class Step:
    """One step: what it is, how long it took, and what came of it."""

    name: str
    seconds: float = 0.0
    detail: str = ""
    ok: bool = False
    _status: Status | None = None

    def say(self, doing: str) -> None:
        """Show what the step is doing now (on a terminal)."""
        if self._status is not None:
            self._status.update(f"{escape(self.name)}  [dim]{escape(doing)}[/]")


@dataclass
class Steps:
    """The steps taken so far."""

    console: Console
    steps: list[Step] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Time a step and print its line when it succeeds or fails."""
        step = Step(name)
        self.steps.append(step)
        start = time.monotonic()
        with self.console.status(escape(name)) as status:
            step._status = status
            try:
                yield step
                step.ok = True
            except Exception as error:
                step.detail = f"{step.detail}: {error}" if step.detail else str(error)
                raise
            finally:
                step._status = None
                step.seconds = round(time.monotonic() - start, 2)
        self._print(step)

    def failed(self) -> None:
        """Print the line of the step that failed last."""
        if self.steps and not self.steps[-1].ok:
            self._print(self.steps[-1])

    def _print(self, step: Step) -> None:
        mark = "[green]✔[/]" if step.ok else "[red]✘[/]"
        self.console.print(
            f"{mark} {escape(step.name):<44} [dim]{step.seconds:6.1f}s[/]  {escape(step.detail)}"
        )

    def as_dicts(self) -> list[dict[str, Any]]:
        return [{"name": step.name, "seconds": step.seconds, "detail": step.detail} for step in self.steps]
