"""Files that pages load: styles and scripts of ours, at addresses that change with their content."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
# The report's style is the console's too.
_PLACES = {
    "report.css": ("sluice.quality.report", "templates"),
    "gates.css": ("sluice.quality.report", "templates"),
    "console.css": ("sluice.console", "static"),
    "console.js": ("sluice.console", "static"),
    "htmx.min.js": ("sluice.console", "static"),
    "icon.svg": ("sluice.console", "static"),
}
PREFIX = "/static/"
_DIGITS = 12


def address(name: str) -> str:
    """Return the path of a file, with a digest of its content."""
    return f"{PREFIX}{hashlib.sha256(_read(name)).hexdigest()[:_DIGITS]}/{name}"


def find(path: str) -> tuple[bytes, str] | None:
    """Return the content and the media type of a file by its path; None if there is none."""
    name = path.rpartition("/")[2]
    if name not in _PLACES or path != address(name):
        return None
    return _read(name), _TYPES[name.rpartition(".")[2]]


@cache
def _read(name: str) -> bytes:
    package, folder = _PLACES[name]
    return files(package).joinpath(folder, name).read_bytes()
