"""Gather what commands and pages show from the whole cloud, as plain dictionaries."""

from sluice.services.views import data, lineage, models, pipelines, runs, stages, uploads

__all__ = ["data", "lineage", "models", "pipelines", "runs", "stages", "uploads"]
