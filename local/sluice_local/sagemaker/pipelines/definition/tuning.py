"""Tuning steps: the space that they search, as far as the definition says it without references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluice_local.sagemaker.jobs.tuning import space
from sluice_local.sagemaker.jobs.tuning.space import SpaceError
from sluice_local.sagemaker.pipelines.definition import references
from sluice_local.sagemaker.pipelines.definition.errors import DefinitionError


def check(name: str, arguments: Mapping[str, Any]) -> None:
    """Raise DefinitionError for a space that cannot be searched; the arguments keep the request's model."""
    config = arguments["HyperParameterTuningJobConfig"]
    if "Autotune" in arguments:
        raise DefinitionError(
            f"Step {name}: the local SageMaker has no Autotune; give ranges and a strategy."
        )
    ranges = config.get("ParameterRanges")
    if ranges is None or any(references.found_in(ranges)):
        return
    try:
        found = space.read(ranges)
        if config["Strategy"] == "Grid":
            space.grid(found)
    except SpaceError as error:
        place = "Arguments.HyperParameterTuningJobConfig.ParameterRanges"
        raise DefinitionError(f"Step {name}: {place}: {error}.") from error
