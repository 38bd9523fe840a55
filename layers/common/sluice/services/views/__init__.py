"""Gather what commands and pages show from the whole cloud, as plain dictionaries."""

from sluice.services.views import data, models, pipelines, runs, stages, uploads

__all__ = ["data", "models", "pipelines", "runs", "stages", "uploads"]
