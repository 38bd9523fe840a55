"""The requests that steps make: to which operation, and which properties the result has."""

from __future__ import annotations

from botocore.model import StructureShape

from sluice_local.sagemaker.api.validation import operation_model
from sluice_local.sagemaker.pipelines.definition import checks
from sluice_local.sagemaker.pipelines.definition.reading import Request


def _shape(shape: StructureShape | None) -> StructureShape:
    assert shape is not None  # noqa: S101 - each of these operations has a request and an answer
    return shape


def _request(noun: str, name: str = "", *more: str) -> Request:
    """Return the request that makes one, whose description and further answers are its properties."""
    answers = [operation_model(f"Describe{noun}"), *map(operation_model, more)]
    properties = frozenset(member for model in answers for member in _shape(model.output_shape).members)
    return Request(_shape(operation_model(f"Create{noun}").input_shape), properties, name)


# The execution names jobs and models; a version of a package has no name.
REQUESTS = {
    "Processing": _request("ProcessingJob", "ProcessingJobName"),
    "Training": _request("TrainingJob", "TrainingJobName"),
    "Transform": _request("TransformJob", "TransformJobName"),
    "Tuning": _request(
        "HyperParameterTuningJob", "HyperParameterTuningJobName", "ListTrainingJobsForHyperParameterTuningJob"
    ),
    **{
        kind: Request(
            _shape(operation_model("CreateProcessingJob").input_shape), properties, "ProcessingJobName"
        )
        for kind, properties in checks.PROPERTIES.items()
    },
    "Model": _request("Model", "ModelName"),
    "RegisterModel": _request("ModelPackage"),
}
