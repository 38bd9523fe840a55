"""Gather what commands and pages show from the whole cloud, as plain dictionaries."""

from sluice.services.views import (
    candidates,
    comparison,
    data,
    graph,
    history,
    lineage,
    models,
    monitoring,
    overview,
    pipelines,
    recalls,
    reuse,
    runs,
    stages,
    story,
    uploads,
)

__all__ = [
    "candidates",
    "comparison",
    "data",
    "graph",
    "history",
    "lineage",
    "models",
    "monitoring",
    "overview",
    "pipelines",
    "recalls",
    "reuse",
    "runs",
    "stages",
    "story",
    "uploads",
]
