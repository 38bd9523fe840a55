"""What SageMaker records of jobs, model packages and endpoints: entities, and what links them.

The developer guide names the entities ("Amazon SageMaker AI-Created Tracking Entities"). Nothing is stored:
they follow from what the job, the package or the endpoint says. An artifact is known by its URI, not by its
content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from sluice_local.sagemaker.api.core import ApiError, Item, Scope
from sluice_local.sagemaker.experiments import job_components
from sluice_local.sagemaker.hosting import models
from sluice_local.sagemaker.hosting.endpoint_configs import ENDPOINT_CONFIGS
from sluice_local.sagemaker.jobs.lifecycle import JobKind

ARTIFACT, ACTION, CONTEXT, COMPONENT = "artifact", "action", "context", "experiment-trial-component"


@dataclass(frozen=True, slots=True)
class Entity:
    """One end of a link: its kind as in ARNs, its name there, its type, and the URI or ARN it stands for."""

    kind: str
    name: str
    type: str
    source_uri: str
    title: str = ""
    properties: tuple[tuple[str, str], ...] = ()
    source_type: str = ""

    def arn(self, scope: Scope) -> str:
        return scope.arn(self.kind, self.name)


@dataclass(frozen=True, slots=True)
class Link:
    """An association of two entities, since a moment."""

    source: Entity
    destination: Entity
    type: str
    since_s: float


def artifact_id(uri: str) -> str:
    """Return the id of the artifact with a source URI: there is one for each."""
    return hashlib.sha256(uri.encode()).hexdigest()[:32]


def artifact(uri: str, kind: str) -> Entity:
    return Entity(ARTIFACT, artifact_id(uri), kind, uri)


def of_job(scope: Scope, kind: JobKind, job: Item) -> Iterator[Link]:
    """Yield what a job read and wrote."""
    name = job[kind.name_key] + job_components.ending(kind)
    component = Entity(COMPONENT, name, f"{kind.noun}Job", job[kind.arn_key], name)
    since_s = job["CreationTime"]
    image = job_components.image(job)
    for _, found in job_components.inputs(job):
        what = "Image" if found["Value"] == image else "DataSet"
        yield Link(artifact(found["Value"], what), component, "ContributedTo", since_s)
    for title, found in job_components.outputs(job):
        what = "Model" if title == "SageMaker.ModelArtifact" else "DataSet"
        yield Link(component, artifact(found["Value"], what), "Produced", since_s)
    if checkpoints := job.get("CheckpointConfig", {}).get("S3Uri"):
        yield Link(component, artifact(checkpoints, "Checkpoint"), "Produced", since_s)
    if kind.noun == "Transform":
        for container in _containers(scope, job["ModelName"]):
            yield from _contributes(scope, container, component, since_s)


def of_package(scope: Scope, package: Item) -> Iterator[Link]:
    """Yield of what a version of a model is made, its group, and whether it is approved."""
    arn, since_s = package["ModelPackageArn"], package["CreationTime"]
    version = artifact(arn, "Model")
    for container in package.get("InferenceSpecification", {}).get("Containers", ()):
        yield from _contributes(scope, container, version, since_s)
    if group := package.get("ModelPackageGroupName"):
        title = f"{group}-aws-model-package-group"
        uri = scope.arn("model-package-group", group)
        context = Entity(CONTEXT, title.lower(), "ModelGroup", uri, title)
        yield Link(version, context, "AssociatedWith", since_s)
        number, status = package["ModelPackageVersion"], package["ModelApprovalStatus"]
        title = f"{group}-{number}-{status}-aws-model-package"
        approval = Entity(
            ACTION, title.lower(), "Approval", arn, title, (("ModelApprovalStatus", status),), "ModelPackage"
        )
        yield Link(approval, version, "ContributedTo", since_s)


def of_endpoint(scope: Scope, endpoint: Item) -> Iterator[Link]:
    """Yield what an endpoint serves."""
    arn, since_s = endpoint["EndpointArn"], endpoint["CreationTime"]
    title = f"{endpoint['EndpointName']}-aws-endpoint"
    deployment = Entity(ACTION, title.lower(), "ModelDeployment", arn, title)
    context = Entity(CONTEXT, title.lower(), "Endpoint", arn, title)
    yield Link(deployment, context, "AssociatedWith", since_s)
    config = ENDPOINT_CONFIGS.find(scope, endpoint.get("EndpointConfigName", "")) or {}
    for variant in config.get("ProductionVariants", ()):
        for container in _containers(scope, variant.get("ModelName", "")):
            yield from _contributes(scope, container, deployment, since_s)


def _contributes(scope: Scope, container: Item, to: Entity, since_s: float) -> Iterator[Link]:
    if package := container.get("ModelPackageName"):
        arn = package if package.startswith("arn:") else scope.arn("model-package", package)
        yield Link(artifact(arn, "Model"), to, "ContributedTo", since_s)
    if image := container.get("Image"):
        yield Link(artifact(image, "Image"), to, "ContributedTo", since_s)
    if data := container.get("ModelDataUrl"):
        yield Link(artifact(data, "Model"), to, "ContributedTo", since_s)


def _containers(scope: Scope, model_name: str) -> list[Item]:
    try:
        return models.containers(scope, model_name)
    except ApiError:  # deleted since
        return []
