"""The page in place of one that cannot be shown."""

from __future__ import annotations

from sluice.console.rendering import Page


def page(status: int, title: str, what: str) -> Page:
    """Say what is not there, and where to go on."""
    view = {"status": status, "error": title, "message": what}
    return Page(title, "missing.html.j2", view, {"what": what}, "status")
