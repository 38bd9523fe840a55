"""Steps of the SDK's `@step` decorator: training jobs that call a pickled function.

The SDK's own bootstrap runs in the job, and refuses another version of Python than the one that pickled.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from sluice_local.sagemaker.pipelines.definition.errors import DefinitionError

_BOOTSTRAP = "/opt/ml/input/data/sagemaker_remote_function_bootstrap/"
_PYTHON = "--client_python_version"
# The image that the SDK takes if none is named; it is for its two versions of Python alone.
_BASE_PYTHON = "sagemaker-base-python"


def check(name: str, arguments: Mapping[str, Any]) -> None:
    """Raise DefinitionError for a function that no job here can call."""
    algorithm = arguments.get("AlgorithmSpecification") or {}
    entrypoint = algorithm.get("ContainerEntrypoint") or []
    if not any(isinstance(part, str) and part.startswith(_BOOTSTRAP) for part in entrypoint):
        return
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    pickled = _option(algorithm.get("ContainerArguments") or [], _PYTHON)
    if pickled is not None and pickled != here:
        raise DefinitionError(
            f"Step {name}: its function was pickled by Python {pickled}, and the jobs of this cloud run on "
            f"Python {here}, which the SDK refuses: make the pipeline with Python {here}, and name an image "
            "by @step(image_uri=...)."
        )
    image = algorithm.get("TrainingImage")
    if isinstance(image, str) and _BASE_PYTHON in image:
        raise DefinitionError(
            f"Step {name}: the local SageMaker has no image {image}; name another by @step(image_uri=...), "
            "such as sagemaker-scikit-learn:1.4-2-cpu-py3."
        )


def _option(arguments: Sequence[Any], name: str) -> Any:
    position = list(arguments).index(name) + 1 if name in arguments else len(arguments)
    return arguments[position] if position < len(arguments) else None
