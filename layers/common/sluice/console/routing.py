"""Find the page of a path: a pattern with named parts, each of which matches up to the next slash."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sluice.lazy import dataclass

Show = Callable[..., Any]
_PART = re.compile(r"<(\w+)>")


@dataclass(frozen=True, slots=True)
class Route:
    """A pattern, and what shows its pages."""

    pattern: str
    show: Show

    def match(self, path: str) -> dict[str, str] | None:
        """Return the parts of a path that the pattern names; None if it does not match."""
        found = re.fullmatch(_PART.sub(r"(?P<\1>[^/]+)", self.pattern), path)
        return found.groupdict() if found else None


def find(routes: Sequence[Route], path: str) -> tuple[Show, Mapping[str, str]] | None:
    """Return what shows a path, and the parts of it; None if nothing does."""
    for route in routes:
        if (parts := route.match(path)) is not None:
            return route.show, parts
    return None
