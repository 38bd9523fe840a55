"""The metric that a tuning job searches by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def fault(objective: Mapping[str, Any] | None, algorithm: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the objective of training jobs by their AlgorithmSpecification."""
    if objective is None:
        return "An objective is needed: HyperParameterTuningJobObjective or TuningObjective"
    names = [metric["Name"] for metric in algorithm.get("MetricDefinitions") or ()]
    if objective["MetricName"] in names:
        return None
    return (
        f"The objective {objective['MetricName']} must be one of the MetricDefinitions of "
        f"AlgorithmSpecification, which are {', '.join(names) or 'none'}"
    )
