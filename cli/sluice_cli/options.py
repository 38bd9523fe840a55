"""What the modules of commands share: common options, examples, and how a result is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from sluice_cli.output import print_json

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Pipeline = Annotated[
    str | None, typer.Argument(help="The pipeline's name; not needed when there is only one.")
]
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why; kept with the decision.")]


def example(text: str) -> str:
    """The epilog of a command's help: what one types."""
    return f"Example: `{text}`"


def show(value: Any, as_json: bool, text: Callable[[], None]) -> None:
    """Print a result as JSON or as text."""
    if as_json:
        print_json(value)
    else:
        text()
