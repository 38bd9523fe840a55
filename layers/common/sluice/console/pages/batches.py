"""The page of batches: what scores files without an endpoint, what waits, and what became of the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluice.console.pages import links
from sluice.console.pages.frame import of_pipeline
from sluice.console.rendering import Page


def page(view: Mapping[str, Any]) -> Page:
    """Show a pipeline's transforms as `views.batches.batches` returns them."""
    pipeline = view["pipeline"]
    return of_pipeline(
        pipeline,
        "Releases",
        title=f"Batches of {pipeline}",
        template="batches.html.j2",
        view=view,
        values=view,
        command=f"batch list {pipeline}",
        trail=(
            ("Releases", links.pipeline(pipeline, "releases")),
            ("Batches", links.pipeline(pipeline, "batches")),
        ),
        is_live=view["in_flight"] is not None,
    )
