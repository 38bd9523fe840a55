"""Share options, examples and the printing of results between the modules of commands."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from sluice_cli import target as targets
from sluice_cli.output import hint, print_json
from sluice_cli.target import Target

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Pipeline = Annotated[str | None, typer.Argument(help="The pipeline's name; optional if there is only one.")]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run, as `sluice runs` lists it; of a pipeline, its newest.")
]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until what this starts has ended.")]
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why; recorded with the decision.")]

# A page of a list that grows for ever.
PAGE = 100
Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]


@dataclass(frozen=True)
class Options:
    """The options before the command's name: where commands act."""

    where: str
    stack: str | None
    profile: str | None
    region: str | None

    def target(self) -> Target:
        """Return the target and announce it on stderr before anything is done to it."""
        found = targets.resolve(where=self.where, stack=self.stack, profile=self.profile, region=self.region)
        hint(f"target: {found.description}")
        return found


def example(text: str) -> str:
    """Return the epilog of a command's help: what to type."""
    return f"Example: `{text}`"


def hint_more(command: str, found: Sequence[Any], limit: int, last: Callable[[Any], str]) -> None:
    """Say how to see the next page, if there may be one."""
    if len(found) >= limit:
        hint(f"more: `sluice {command} --after {shlex.quote(last(found[limit - 1]))}`")


def show(value: Any, as_json: bool, text: Callable[[], None]) -> None:
    """Print a result as JSON or as text."""
    if as_json:
        print_json(value)
    else:
        text()
