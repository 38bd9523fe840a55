"""What the pages of a pipeline have in common: the way to them, and to their neighbours."""

from __future__ import annotations

from typing import Any

from sluice.console.pages import links
from sluice.console.rendering import Page


def of_pipeline(pipeline: str, tab: str, *, trail: links.Links = (), **page: Any) -> Page:
    """Make a page of a pipeline, under one of its tabs; `trail` is the way there from the pipeline."""
    return Page(
        trail=((pipeline, links.pipeline(pipeline)), *trail), tabs=links.tabs(pipeline), tab=tab, **page
    )
