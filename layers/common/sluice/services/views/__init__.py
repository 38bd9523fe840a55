"""Gather what commands and pages show from the whole cloud, as plain dictionaries."""

from sluice.services.views import (
    candidates,
    comparison,
    data,
    graph,
    lineage,
    models,
    monitoring,
    overview,
    pipelines,
    recalls,
    reuse,
    runs,
    stages,
    uploads,
)

__all__ = [
    "candidates",
    "comparison",
    "data",
    "graph",
    "lineage",
    "models",
    "monitoring",
    "overview",
    "pipelines",
    "recalls",
    "reuse",
    "runs",
    "stages",
    "uploads",
]
