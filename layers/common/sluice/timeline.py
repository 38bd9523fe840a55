"""The pipeline's timeline: what happened, who did it, and why."""

from __future__ import annotations

from sluice import wiring
from sluice.domain import catalog as keys

_ACTOR = "sluice"


def note(pipeline: str, at: str, subject: str, event: str, detail: str, actor: str = _ACTOR) -> None:
    """Add to the pipeline's timeline; the same entry again changes nothing."""
    entry = keys.timeline_item(pipeline, at, subject, event, actor=actor, detail=detail)
    wiring.catalog().create(entry)
