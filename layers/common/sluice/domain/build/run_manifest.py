"""Write the run manifest, which proves how a model was made, and the model package that points to it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from sluice.domain import canonical, tags
from sluice.lazy import dataclass

if TYPE_CHECKING:
    from sluice.domain.build.verdicts import GateResult
    from sluice.domain.config import PipelineConfig

FORMAT = "sluice-run-manifest/3"
# What releases, `sluice manifest` and `sluice lineage` read. Format 2 has no source, framework, environments
# or cause, and of the artifacts only model, code and evaluation.
FORMATS = ("sluice-run-manifest/2", FORMAT)
_UNKNOWN = "unknown"
_OF_THE_CHAMPION = "evaluate-champion"
_CLIENT_TOKEN_MAX = 36
# The registry's limits of CustomerMetadataProperties: 50 pairs of so many characters, of these signs.
_NAME_MAX, _VALUE_MAX, _HYPERPARAMETERS_MAX = 128, 256, 25
_REFUSED = re.compile(r"[^\w .:/=+\-@]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Artifact:
    """An output of a step, identified by content.

    `version_id` is set where the key may be written again. A large object has no sha256, only its version.
    `run_id` is the run whose step produced it, if that is another: it did the same before.
    """

    name: str
    step: str
    uri: str
    sha256: str | None
    size_bytes: int
    version_id: str | None = None
    run_id: str | None = None

    def document(self) -> dict[str, Any]:
        """The artifact as plain data."""
        optional = ("version_id", "run_id")
        described = asdict(self)
        return {name: value for name, value in described.items() if value is not None or name not in optional}


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of the run; `source` is the git commit of the project, as its push said."""

    project_version: str
    bundle_uri: str
    dataset_version: str
    dataset_manifest_uri: str
    dataset_objects: int
    dataset_rows: int
    dataset_size_bytes: int
    source: Mapping[str, Any] = field(default_factory=dict)


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
    cause: str = _UNKNOWN
    actor: str = _UNKNOWN
    framework: Mapping[str, str] | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The manifest as plain data."""
        gates = [dict(gate) if isinstance(gate, Mapping) else asdict(gate) for gate in self.gates]
        return {
            "format": FORMAT,
            "pipeline": self.pipeline,
            "run_id": self.run_id,
            "created_at": self.created_at,
            "cause": self.cause,
            "actor": self.actor,
            "inputs": asdict(self.inputs),
            "parameters": dict(self.parameters),
            "overrides": dict(self.overrides),
            "framework": None if self.framework is None else dict(self.framework),
            "images": _images(self.steps),
            "environments": environments(self.steps),
            "steps": [dict(step) for step in self.steps],
            "candidate": self.candidate,
            "champion": None if self.champion is None else dict(self.champion),
            "artifacts": [artifact.document() for artifact in self.artifacts],
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


def environments(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what the jobs of which steps ran in: image, digest of the environment, Python, packages.

    One job of a run lists the packages of its image; others with this image and the same requirements have
    the same. `packages` is None where no job said what it had.
    """
    listed = {step["image"]: step for step in steps if step.get("packages") and not step.get("environment")}
    found: dict[bytes, dict[str, Any]] = {}
    for step in steps:
        if not step.get("image"):
            continue
        by = step if step.get("packages") or _has_own(step) else listed.get(step["image"], step)
        described = {
            "image": step["image"],
            "image_digest": step["image"].partition("@")[2] or None,
            "environment": step.get("environment"),
            "python": by.get("python"),
            "packages": packages(by.get("packages")),
        }
        same = found.setdefault(canonical.to_json(described), {**described, "steps": []})
        same["steps"].append(step["step"])
    return [*found.values()]


def _has_own(step: Mapping[str, Any]) -> bool:
    """Tell whether a step's packages may be others than those of its run: the champion has its own."""
    return bool(step.get("environment")) or str(step["step"]).startswith(_OF_THE_CHAMPION)


def packages(listed: Any) -> dict[str, str] | None:
    """Return versions by package name, of a mapping or a list of names and versions; None without any."""
    if not listed:
        return None
    if isinstance(listed, Mapping):
        return {str(name): str(version) for name, version in sorted(listed.items())}
    pairs = ((str(each["name"]), str(each["version"])) for each in listed)
    return dict(sorted(pairs))


def parameters(config: PipelineConfig, hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters by step; hyperparameters are the chosen candidate's, JSON-encoded."""
    if config.build is not None:
        return {"pipeline": dict(hyperparameters)}
    return {"prepare": dict(config.prepare.parameters), "train": dict(hyperparameters)}


def config_sha256(stored: str) -> str:
    """Digest a project's config as the catalog stores it."""
    return hashlib.sha256(stored.encode()).hexdigest()


def container(config: PipelineConfig, region: str, model_uri: str, code_uri: str) -> dict[str, Any]:
    """Return the container that serves a model with the pipeline's script."""
    return {
        "Image": config.serving_image_uri(region),
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
    source = inputs.get("source") or {}
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
        "MetadataProperties": {
            "GeneratedBy": run_id,
            "ProjectId": inputs["project_version"],
            **({"CommitId": source["commit"]} if source.get("commit") else {}),
            **({"Repository": source["remote"]} if source.get("remote") else {}),
        },
        "CustomerMetadataProperties": {
            **tags.of_pipeline(stack, config.name),
            tags.RUN: run_id,
            "sluice:manifest-uri": manifest_uri,
            "sluice:manifest-sha256": manifest_sha256,
            "sluice:dataset-version": inputs["dataset_version"],
            "sluice:project-version": inputs["project_version"],
            "sluice:model-sha256": artifacts["model"]["sha256"],
            **_told(document),
        },
    }


def _told(document: Mapping[str, Any]) -> dict[str, str]:
    """Return what else of a manifest fits into a package's metadata, as people filter by it in Studio.

    The registry takes values of at most 256 characters, of letters, digits and a few signs.
    """
    source, champion = document["inputs"].get("source") or {}, document.get("champion") or {}
    clean = source.get("is_clean")
    said = {
        "sluice:commit": source.get("commit"),
        "sluice:branch": source.get("branch"),
        "sluice:repository": source.get("remote"),
        "sluice:is-committed": None if clean is None else str(bool(clean)).lower(),
        "sluice:framework": " ".join((document.get("framework") or {}).values()),
        "sluice:candidate": document["candidate"],
        "sluice:champion": champion.get("package_arn"),
        "sluice:cause": document.get("cause"),
        "sluice:actor": document.get("actor"),
        **{f"sluice:hyperparameter:{name}": value for name, value in _hyperparameters(document).items()},
    }
    return {_plain(name, _NAME_MAX): _plain(str(value), _VALUE_MAX) for name, value in said.items() if value}


def _hyperparameters(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the chosen candidate's hyperparameters, text without JSON's quotation marks."""
    chosen = [*(document["parameters"].get("train") or {}).items()][:_HYPERPARAMETERS_MAX]
    return {name: str(value).strip('"') for name, value in chosen}


def _plain(text: str, length: int) -> str:
    """Replace the signs that the registry refuses in metadata."""
    return _REFUSED.sub("_", text)[:length]
