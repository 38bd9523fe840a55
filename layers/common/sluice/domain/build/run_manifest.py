"""Write the run manifest, which proves how a model was made, and the model package that points to it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from sluice.domain import canonical, tags

if TYPE_CHECKING:
    from sluice.domain.build.gates import GateResult
    from sluice.domain.config import PipelineConfig

FORMAT = "sluice-run-manifest/2"
_CLIENT_TOKEN_MAX = 36


@dataclass(frozen=True, slots=True)
class Artifact:
    """An output of a step, identified by content."""

    name: str
    step: str
    uri: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of the run."""

    project_version: str
    bundle_uri: str
    dataset_version: str
    dataset_manifest_uri: str
    dataset_objects: int
    dataset_rows: int
    dataset_size_bytes: int


@dataclass(frozen=True, slots=True)
class Serving:
    """What shall serve: a container for CreateModel, and the digest of the project's config."""

    container: Mapping[str, Any]
    config_sha256: str


@dataclass(frozen=True, slots=True)
class RunManifest:
    """All that a run used, did and found; `steps` are job results, `candidate` is the chosen one's step."""

    pipeline: str
    run_id: str
    created_at: str
    inputs: Inputs
    parameters: Mapping[str, Any]
    steps: Sequence[Mapping[str, Any]]
    candidate: str
    champion: Mapping[str, Any] | None
    artifacts: Sequence[Artifact]
    serving: Serving
    evaluation: Mapping[str, Any]
    gates: Sequence[GateResult | Mapping[str, Any]]

    def document(self) -> dict[str, Any]:
        """The manifest as plain data."""
        gates = [dict(gate) if isinstance(gate, Mapping) else asdict(gate) for gate in self.gates]
        return {
            "format": FORMAT,
            "pipeline": self.pipeline,
            "run_id": self.run_id,
            "created_at": self.created_at,
            "inputs": asdict(self.inputs),
            "parameters": dict(self.parameters),
            "images": _images(self.steps),
            "steps": [dict(step) for step in self.steps],
            "candidate": self.candidate,
            "champion": None if self.champion is None else dict(self.champion),
            "artifacts": [asdict(artifact) for artifact in self.artifacts],
            "serving": asdict(self.serving),
            "evaluation": dict(self.evaluation),
            "gates": gates,
        }

    def to_json(self) -> bytes:
        return canonical.to_json(self.document())

    @property
    def sha256(self) -> str:
        """The digest of the bytes of `to_json`, which an approval is bound to."""
        return hashlib.sha256(self.to_json()).hexdigest()


def _images(steps: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    """Return the images used, each with the digest that its URI pins; None if it has a tag."""
    uris = sorted({step["image"] for step in steps if step.get("image")})
    return {uri: uri.partition("@")[2] or None for uri in uris}


def parameters(config: PipelineConfig, hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters by step; hyperparameters are the chosen candidate's, JSON-encoded."""
    return {"prepare": dict(config.prepare.parameters), "train": dict(hyperparameters)}


def config_sha256(stored: str) -> str:
    """Digest a project's config as the catalog stores it."""
    return hashlib.sha256(stored.encode()).hexdigest()


def container(config: PipelineConfig, region: str, model_uri: str, code_uri: str) -> dict[str, Any]:
    """Return the container that serves a model with the pipeline's script."""
    return {
        "Image": config.image_uri(region),
        "ModelDataUrl": model_uri,
        "Environment": {
            "SAGEMAKER_PROGRAM": PurePosixPath(config.serve.script).name,
            "SAGEMAKER_SUBMIT_DIRECTORY": code_uri,
            "SAGEMAKER_REGION": region,
        },
    }


def package_request(
    config: PipelineConfig,
    document: Mapping[str, Any],
    *,
    stack: str,
    manifest_uri: str,
    manifest_sha256: str,
    may_approve: bool = False,
) -> dict[str, Any]:
    """Make a CreateModelPackage request: the model, how to serve it, its evaluation and its manifest's URI.

    The package waits for a person unless both the project and the stack (`may_approve`) allow it without.
    """
    run_id, inputs = document["run_id"], document["inputs"]
    artifacts = {artifact["name"]: artifact for artifact in document["artifacts"]}
    evaluation = artifacts["evaluation"]
    statistics = {
        "ContentType": "application/json",
        "ContentDigest": f"sha256:{evaluation['sha256']}",
        "S3Uri": evaluation["uri"],
    }
    return {
        "ModelPackageGroupName": config.model_package_group(stack),
        "ModelPackageDescription": f"Run {run_id} of pipeline {config.name}",
        "ClientToken": hashlib.sha256(f"{stack}#{run_id}".encode()).hexdigest()[:_CLIENT_TOKEN_MAX],
        "ModelApprovalStatus": "Approved"
        if may_approve and config.register_.approval == "automatic"
        else "PendingManualApproval",
        "InferenceSpecification": {
            "Containers": [document["serving"]["container"]],
            # Only real-time: batch transform knows fewer types, and SageMaker refuses unknown ones.
            "SupportedRealtimeInferenceInstanceTypes": [config.serve.compute.instance_type],
            "SupportedContentTypes": [config.serve.content_type],
            "SupportedResponseMIMETypes": [config.serve.accept],
        },
        "ModelMetrics": {"ModelQuality": {"Statistics": statistics}},
        "MetadataProperties": {"GeneratedBy": run_id, "ProjectId": inputs["project_version"]},
        "CustomerMetadataProperties": {
            **tags.of_pipeline(stack, config.name),
            tags.RUN: run_id,
            "sluice:manifest-uri": manifest_uri,
            "sluice:manifest-sha256": manifest_sha256,
            "sluice:dataset-version": inputs["dataset_version"],
            "sluice:project-version": inputs["project_version"],
            "sluice:model-sha256": artifacts["model"]["sha256"],
        },
    }
