"""Groups of commands: to whoever names a pipeline alone they say which command may be meant."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from sluice.domain import nearest
from sluice_cli.errors import EXIT_USAGE, CommandError

_LOOKING = ("list", "show")


def group(about: str) -> typer.Typer:
    """Make a group of commands with its help."""
    return typer.Typer(cls=Group, no_args_is_help=True, help=about)


class Group(TyperGroup):
    """A group below `sluice`, such as `sluice dataset`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; raises CommandError if there is none that is at least similar."""
        names = self.list_commands(ctx)
        if not args or args[0].startswith("-") or args[0] in names or nearest.nearest(args[0], names):
            return super().resolve_command(ctx, args)
        # To look does no harm.
        taking = sorted(
            (each for each in names if self._takes_a_name(ctx, each)), key=lambda each: each not in _LOOKING
        )
        meant = f"; did you mean `{ctx.command_path} {taking[0]} {args[0]}`?" if taking else ""
        raise CommandError(
            f"`{ctx.command_path}` has no command {args[0]!r}{meant}",
            hint=f"Commands: {', '.join(names)}.",
            exit_code=EXIT_USAGE,
        )

    def _takes_a_name(self, ctx: Any, command: str) -> bool:
        found = self.get_command(ctx, command)
        arguments = [each for each in found.params if each.param_type_name == "argument"] if found else []
        return bool(arguments) and arguments[0].name in ("pipeline", "model", "named")
