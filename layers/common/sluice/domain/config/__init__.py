"""Load pipeline.yaml: errors name the line, the path, what was expected and the nearest match."""

from __future__ import annotations

from typing import Any

from sluice.domain.config.models import PipelineConfig, Stage
from sluice.domain.config.problems import ConfigError, Problem

__all__ = [
    "ConfigError",
    "PipelineConfig",
    "Problem",
    "Stage",
    "dump",
    "json_schema",
    "load",
    "restore",
]

# An item of the catalog holds 400 kB, and the defaults of a wide contract would fill most of it.
_WITH_DEFAULTS_MAX = 300_000


def load(text: str) -> PipelineConfig:
    """Read and check a pipeline.yaml; raises ConfigError with every problem found."""
    # Functions restore what a push loaded, so all but one start without the YAML parser.
    from sluice.domain.config import loading

    return loading.load(text)


def dump(config: PipelineConfig) -> str:
    """Write a config as JSON to store it; a very large one without its default values."""
    text = config.model_dump_json()
    return text if len(text) <= _WITH_DEFAULTS_MAX else config.model_dump_json(exclude_defaults=True)


def restore(text: str) -> PipelineConfig:
    """Read what `dump` wrote."""
    return PipelineConfig.model_validate_json(text)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of pipeline.yaml, for editors."""
    schema = PipelineConfig.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "pipeline.yaml"}
