"""The requests that steps make: to which operation, and what describes the result."""

from __future__ import annotations

from sluice_local.sagemaker.api.validation import operation_model
from sluice_local.sagemaker.pipelines.definition.reading import Request


def _request(noun: str, name: str = "") -> Request:
    asked, described = (
        operation_model(f"Create{noun}").input_shape,
        operation_model(f"Describe{noun}").output_shape,
    )
    assert asked is not None  # noqa: S101 - each of these has a request and an answer
    assert described is not None  # noqa: S101
    return Request(asked, described, name)


# The execution names jobs and models; a version of a package has no name.
REQUESTS = {
    "Processing": _request("ProcessingJob", "ProcessingJobName"),
    "Training": _request("TrainingJob", "TrainingJobName"),
    "Transform": _request("TransformJob", "TransformJobName"),
    "Model": _request("Model", "ModelName"),
    "RegisterModel": _request("ModelPackage"),
}
