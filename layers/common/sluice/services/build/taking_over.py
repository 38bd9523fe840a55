"""Take over what a pipeline of SageMaker registered: the run's candidate, and its evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sluice.catalog.changes import builds
from sluice.catalog.records.builds import Step
from sluice.domain import names
from sluice.domain.build import archives, champions, evaluations
from sluice.domain.build.errors import BuildError
from sluice.domain.build.jobs import EVALUATION_FILE
from sluice.domain.locations import bucket_and_key
from sluice.lazy import dataclass
from sluice.services import building

if TYPE_CHECKING:
    from sluice.events import SelectCandidateTask
    from sluice.ports import Cloud, ObjectHead


class NotTakenError(BuildError):
    """What the pipeline registered cannot be a candidate."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A registered model: the version of its object, and the package that names it."""

    model_uri: str
    model_version_id: str
    package: str


def take(cloud: Cloud, task: SelectCandidateTask) -> Taken | str:
    """Return what the run's pipeline registered, or why it registered nothing; raises NotTakenError."""
    step = building.find_step(cloud, task.run_id, names.PIPELINE)
    arn = (step.outputs or {}).get("package") if step else None
    if step is None or arn is None:
        return (step.remark if step else None) or "the pipeline registered no model"
    package = cloud.registry.describe_package(arn)
    if package is None:
        raise NotTakenError(f"the model package {arn}, which the pipeline registered, is gone")
    containers = (package.get("InferenceSpecification") or {}).get("Containers") or [{}]
    model_uri = _model_uri(containers[0])
    head = _head(cloud, model_uri, f"the model of {arn}")
    if problem := archives.problem(cloud.objects.chunks(head.bucket, head.key)):
        raise NotTakenError(f"{model_uri}: {problem}")
    metrics = (package.get("ModelMetrics") or {}).get("ModelQuality") or {}
    uri = str((metrics.get("Statistics") or {}).get("S3Uri") or "")
    head_of_evaluation = _head(cloud, uri, f"the evaluation (ModelMetrics) of {arn}")
    if head_of_evaluation.size_bytes > evaluations.MAX_BYTES:
        raise evaluations.too_large(head_of_evaluation.size_bytes)
    _keep(
        cloud,
        task,
        "candidate",
        cloud.objects.read(uri),
        {"package": arn, "uri": uri, "model_uri": model_uri},
    )
    return Taken(model_uri, head.version_id, arn)


def take_champion(cloud: Cloud, task: SelectCandidateTask, champion: Mapping[str, Any] | None) -> str | None:
    """Keep what the champion's run recorded of it, to compare with; returns why that is not to be had."""
    if champion is None or "problem" in champion or "passed_over" in champion:
        return None
    evaluation = champion.get("evaluation")
    if evaluation is None:
        return "its run's manifest has no evaluation"
    try:
        content = cloud.objects.read(evaluation["uri"])
    except FileNotFoundError:
        return f"the evaluation of its run is gone: {evaluation['uri']}"
    if hashlib.sha256(content).hexdigest() != evaluation["sha256"]:
        return f"the evaluation of its run has changed: {evaluation['uri']}"
    said = f"as {champion['run_id']} recorded it, on that run's test data"
    _keep(cloud, task, champions.ROLE, content, {"recorded": said, "uri": evaluation["uri"]})
    return None


def _keep(
    cloud: Cloud, task: SelectCandidateTask, role: str, content: bytes, detail: Mapping[str, Any]
) -> None:
    """Keep an evaluation where the gates look for it, with a step that says where it is from."""
    folder = building.locations(cloud, task.pipeline).evaluation(task.run_id, role)
    cloud.objects.write(f"{folder}/{EVALUATION_FILE}", content, "application/json")
    now = building.first_time(cloud, task, "selected")
    step = Step(
        run_id=task.run_id,
        step=names.evaluate_step(role),
        status="Completed",
        kind="evaluation",
        started_at=now,
        ended_at=now,
        detail=dict(detail),
        outputs={"evaluation": folder},
    )
    cloud.catalog.apply(builds.record_step(step))


def _model_uri(container: Mapping[str, Any]) -> str:
    source = (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
    return str(container.get("ModelDataUrl") or source.get("S3Uri") or "")


def _head(cloud: Cloud, uri: str, what: str) -> ObjectHead:
    """Return the head of an object of the stack's own bucket."""
    bucket, key = bucket_and_key(uri)
    if bucket != cloud.artifact_bucket:
        raise NotTakenError(f"{what} lies at {uri or 'no place'}: expected in {cloud.artifact_bucket}")
    head = cloud.objects.head(bucket, key)
    if head is None:
        raise NotTakenError(f"{what} is not where it says: there is no {uri}")
    return head
