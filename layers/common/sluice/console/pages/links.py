"""Addresses of pages, and what leads from each to its neighbours."""

from __future__ import annotations

from urllib.parse import quote

Links = tuple[tuple[str, str], ...]


def pipeline(name: str, *parts: str) -> str:
    """Return the address of a page of a pipeline."""
    return "/".join(("/pipelines", *(quote(part, safe="") for part in (name, *parts))))


def run(run_id: str, *parts: str) -> str:
    return "/".join(("/runs", *(quote(part, safe="") for part in (run_id, *parts))))


def model(name: str) -> str:
    """Return the address of a model's page, by its name as commands take it."""
    return "/models/" + "/".join(quote(part, safe="") for part in name.split("/"))


def tabs(name: str) -> Links:
    """Return the pages of a pipeline."""
    return (
        ("Overview", pipeline(name)),
        ("Runs", pipeline(name, "runs")),
        ("Data", pipeline(name, "data")),
        ("Models", pipeline(name, "models")),
        ("Releases", pipeline(name, "releases")),
        ("Monitoring", pipeline(name, "monitoring")),
        ("Why", pipeline(name, "why")),
    )
