"""Describe an endpoint's parts, judge whether a change succeeded, and check what the endpoint serves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sluice.domain import tags
from sluice.domain.locations import CAPTURE_URI_VARIABLE
from sluice.domain.release.errors import ReleaseError
from sluice.lazy import dataclass

if TYPE_CHECKING:
    from sluice.domain.config import models
    from sluice.domain.config.monitor import Monitor

VARIANT = "AllTraffic"
_SHADOW = "Shadow"
MODEL_VERSION_VARIABLE = "SLUICE_MODEL_VERSION"
CAPTURE_PERCENT_VARIABLE = "SLUICE_CAPTURE_PERCENT"
# The inference id of requests that test a release: they are no traffic, and not watched.
SMOKE_TEST = "sluice--smoke-test"


class DeploymentError(ReleaseError):
    """A change of an endpoint failed."""


class DeploymentRolledBackError(DeploymentError):
    """SageMaker rolled the endpoint back, as an alarm fired."""


class TransformFailedError(DeploymentError):
    """The transform job that should prove a model did not complete."""


class EndpointFailedError(DeploymentError):
    """The endpoint does not serve, or not reliably."""


class EndpointDeletedError(DeploymentError):
    """Someone deleted the endpoint during the change."""


_DELETED = EndpointDeletedError.__name__


def container(package: Mapping[str, Any]) -> dict[str, Any]:
    """Return the one container of a model package."""
    containers = package["InferenceSpecification"]["Containers"]
    return dict(containers[0])


def foreign(
    what: str, name: str, arn: str, wanted: Mapping[str, str], found: Mapping[str, str]
) -> str | None:
    """Say why an existing resource with a name of ours is not ours, by its tags; None if it is."""
    if tags.are_on(wanted, found):
        return None
    whose = ", ".join(f"{key}={found[key]}" for key in wanted if key in found)
    pairs = " ".join(f"Key={key},Value={value}" for key, value in wanted.items())
    return (
        f"the {what} {name} was not made by this stage's releases: it carries {whose or 'no tags of ours'}. "
        "Delete it, or name the stage otherwise; or, if Sluice may change it, give it the tags: "
        f"aws sagemaker add-tags --resource-arn {arn} --tags {pairs}"
    )


def model_request(
    container: Mapping[str, Any],
    version: int,
    name: str,
    role_arn: str,
    owner: Mapping[str, str],
    capturing: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Make a CreateModel request with the manifest's container: a package could change its meaning later.

    `capturing` has the variables by which a script that captures requests itself knows where and how much.
    """
    environment = {**container["Environment"], MODEL_VERSION_VARIABLE: str(version), **(capturing or {})}
    return {
        "ModelName": name,
        "ExecutionRoleArn": role_arn,
        "PrimaryContainer": {**container, "Environment": environment},
        "Tags": tags.listed(owner),
    }


def captures_itself(config: models.PipelineConfig) -> bool:
    """Tell whether the serving script writes the records of what it is asked."""
    return config.monitor is not None and config.monitor.capture == "script"


def script_capture(monitor: Monitor, destination: str, endpoint_name: str) -> dict[str, str]:
    """Return the variables of a script that captures: it writes where SageMaker would."""
    place = f"{destination}/{endpoint_name}/{VARIANT}"
    return {CAPTURE_URI_VARIABLE: place, CAPTURE_PERCENT_VARIABLE: str(monitor.capture_percent)}


def data_capture(monitor: Monitor, serve: models.Serve, destination: str) -> dict[str, Any]:
    """Make a DataCaptureConfig: both sides of each sampled request, as text where the type is JSON or CSV.

    SageMaker writes content of types that are not listed as base64.
    """
    types = dict.fromkeys((serve.content_type, serve.accept, "application/json", "text/csv"))
    named = {
        "CsvContentTypes": [each for each in types if "csv" in each],
        "JsonContentTypes": [each for each in types if "json" in each],
    }
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": monitor.capture_percent,
        "DestinationS3Uri": destination,
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": named,
    }


def endpoint_config_request(
    name: str,
    model_name: str,
    compute: models.ServeCompute,
    owner: Mapping[str, str],
    capture: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make a CreateEndpointConfig request with one variant, and perhaps a DataCaptureConfig."""
    variant = {"VariantName": VARIANT, "ModelName": model_name, "InitialVariantWeight": 1.0}
    return {
        **({"DataCaptureConfig": capture} if capture else {}),
        "EndpointConfigName": name,
        "ProductionVariants": [{**variant, **_capacity(compute)}],
        "Tags": tags.listed(owner),
    }


def shadow_variant(release_id: str) -> str:
    """Name the variant that answers mirrored requests, for nobody.

    Each release has its own: CloudWatch counts whole minutes, in which another shadow may have failed.
    """
    return f"{_SHADOW}-{release_id.rpartition('-')[2]}"


def shadow_config_request(
    name: str,
    shadow_name: str,
    endpoint: Mapping[str, Any],
    served: Mapping[str, Any],
    model_name: str,
    compute: models.ServeCompute,
    percent: int,
    owner: Mapping[str, str],
    capture: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Make a CreateEndpointConfig request by which what serves stays, and a model answers its requests too.

    `endpoint` and `served` are what serves and its config, as described. SageMaker mirrors the share that the
    shadow's weight is of the other's.
    """
    variant = served["ProductionVariants"][0]
    weight = float(variant.get("InitialVariantWeight") or 1)
    count = endpoint["ProductionVariants"][0].get("DesiredInstanceCount") or variant["InitialInstanceCount"]
    size = {
        "InstanceType": compute.instance_type,
        "InitialInstanceCount": -(-compute.instance_count * percent // 100),
    }
    shadow = {
        "VariantName": shadow_name,
        "ModelName": model_name,
        "InitialVariantWeight": weight * percent / 100,
    }
    return {
        **({"DataCaptureConfig": capture} if capture else {}),
        "EndpointConfigName": name,
        "ProductionVariants": [{**variant, "InitialInstanceCount": count}],
        "ShadowProductionVariants": [{**shadow, **size}],
        "Tags": tags.listed(owner),
    }


def _capacity(compute: models.ServeCompute) -> dict[str, Any]:
    if compute.serverless is None:
        return {"InstanceType": compute.instance_type, "InitialInstanceCount": compute.instance_count}
    limits = compute.serverless
    return {
        "ServerlessConfig": {
            "MemorySizeInMB": limits.memory_mb,
            "MaxConcurrency": limits.max_concurrency,
        }
    }


def is_serverless(endpoint: Mapping[str, Any]) -> bool:
    """Tell whether a described endpoint has no instances."""
    return any("CurrentServerlessConfig" in variant for variant in endpoint.get("ProductionVariants", ()))


def has_shadow(endpoint: Mapping[str, Any]) -> bool:
    """Tell whether a described endpoint mirrors requests to a shadow variant."""
    return bool(endpoint.get("ShadowProductionVariants"))


def kind_fault(
    pipeline: str, stage: str, endpoint: Mapping[str, Any] | None, *, wants_serverless: bool
) -> str | None:
    """Say why an endpoint cannot serve with instances, or without: SageMaker never goes back from serverless.

    So neither way is taken, as the first could not be rolled back.
    """
    if endpoint is None or status(endpoint["EndpointStatus"]) == "failed":
        return None
    if is_serverless(endpoint) == wants_serverless:
        return None
    has, wants = ("instances", "is serverless") if wants_serverless else ("no instances", "has instances")
    return (
        f"{endpoint['EndpointName']} has {has}, and what is to be released {wants}: SageMaker takes "
        f"no endpoint back from serverless to instances. Name the stage otherwise, or `sluice retire "
        f"{pipeline} --stage {stage}` first"
    )


def batch_fault(pipeline: str, stage: str, *, has_endpoint: bool, wants_batch: bool) -> str | None:
    """Say why a stage cannot go from an endpoint to transform jobs, or back: a rollback could not undo it."""
    if has_endpoint != wants_batch:
        return None
    has, wants = ("an endpoint", "has none") if has_endpoint else ("no endpoint", "needs one")
    return (
        f"{stage} of {pipeline} has {has}, and what is to be released {wants}. Name the stage otherwise, or "
        f"`sluice retire {pipeline} --stage {stage}` first"
    )


def deployment_config(traffic: models.Traffic, alarms: Sequence[str]) -> dict[str, Any]:
    """Make UpdateEndpoint's DeploymentConfig: how traffic moves, and the alarms that move it back."""
    config: dict[str, Any] = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": _routing(traffic),
            "TerminationWaitInSeconds": traffic.bake_s,
            "MaximumExecutionTimeoutInSeconds": traffic.deployment_timeout_s,
        }
    }
    if alarms:
        config["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": name} for name in alarms]}
    return config


def _routing(traffic: models.Traffic) -> dict[str, Any]:
    if traffic.type == "all_at_once":
        # There are no steps to wait between: the bake is the wait before the old fleet ends.
        return {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    size = {"Type": "CAPACITY_PERCENT", "Value": traffic.percent}
    kind, member = {"canary": ("CANARY", "CanarySize"), "linear": ("LINEAR", "LinearStepSize")}[traffic.type]
    return {"Type": kind, "WaitIntervalInSeconds": traffic.bake_s, member: size}


def immediate_deployment_config() -> dict[str, Any]:
    """Make a rollback's DeploymentConfig: all traffic at once, and no alarm that could undo it."""
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
            "TerminationWaitInSeconds": 0,
        }
    }


@dataclass(frozen=True, slots=True)
class Pending:
    """The endpoint is still changing."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """The endpoint serves the config it was asked to."""


@dataclass(frozen=True, slots=True)
class NotDeployed:
    """The change failed; `error` is a name to branch on, `cause` is for people."""

    error: str
    cause: str


Outcome = Pending | Deployed | NotDeployed


def status(described: str) -> str:
    """Normalize a status: DescribeEndpoint says `InService`, events say `IN_SERVICE`."""
    return re.sub("[^a-z]", "", described.lower())


def target_config(endpoint: Mapping[str, Any]) -> str | None:
    """Return the config that an endpoint serves, or will serve if its change under way succeeds."""
    pending = endpoint.get("PendingDeploymentSummary") or endpoint
    return pending.get("EndpointConfigName")


def outcome(endpoint: Mapping[str, Any] | None, name: str, wanted_config: str) -> Outcome:
    """Judge a requested change. InService alone does not mean success: SageMaker rolls back silently."""
    if endpoint is None:
        return NotDeployed(_DELETED, f"{name} was deleted while it was being deployed to")
    why = endpoint.get("FailureReason") or "SageMaker gives no reason"
    match status(endpoint["EndpointStatus"]):
        case "inservice" if endpoint.get("PendingDeploymentSummary"):
            return Pending()
        case "inservice" if endpoint["EndpointConfigName"] == wanted_config:
            return Deployed()
        case "inservice":
            return NotDeployed(
                DeploymentRolledBackError.__name__,
                f"{name} was rolled back to {endpoint['EndpointConfigName']} from {wanted_config}: {why}",
            )
        case "deleting":
            return NotDeployed(_DELETED, f"{name} is being deleted while it was deployed to")
        case "failed" | "outofservice" | "updaterollbackfailed":
            return NotDeployed(EndpointFailedError.__name__, f"{name} is {endpoint['EndpointStatus']}: {why}")
    return Pending()


@dataclass(frozen=True, slots=True)
class Serving:
    """What is behind an endpoint, as SageMaker describes it; None for what does not exist."""

    endpoint: Mapping[str, Any] | None
    config: Mapping[str, Any] | None
    model: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Identity:
    """What must be there, by the release's plan and the run's manifest (`model` is a CreateModel)."""

    endpoint_config_name: str
    model: Mapping[str, Any]
    image_digest: str | None
    capture: Mapping[str, Any] | None = None


def identity_faults(serving: Serving, expected: Identity) -> list[str]:
    """Compare endpoint, config, model and container with the manifest; return the differences."""
    if serving.endpoint is None or serving.config is None or serving.model is None:
        gone = [name for name in ("endpoint", "config", "model") if getattr(serving, name) is None]
        return [f"the {name} does not exist" for name in gone]
    variants = serving.config["ProductionVariants"]
    pairs: list[tuple[str, Any, Any]] = [
        ("the endpoint's status", status(serving.endpoint["EndpointStatus"]), "inservice"),
        ("the endpoint's config", serving.endpoint.get("EndpointConfigName"), expected.endpoint_config_name),
        ("the config's variants", [each["VariantName"] for each in variants], [VARIANT]),
        ("the config's model", variants[0].get("ModelName"), expected.model["ModelName"]),
        *_model_pairs(serving.model, expected.model),
    ]
    pairs += _capture_pairs(serving.config.get("DataCaptureConfig") or {}, expected.capture or {})
    digests = resolved_digests(serving.endpoint) if expected.image_digest else []
    pairs += [("the image's digest", digest, expected.image_digest) for digest in digests]
    return _differences(pairs)


def model_faults(found: Mapping[str, Any] | None, expected: Mapping[str, Any]) -> list[str]:
    """Compare a model with the manifest (`expected` is a CreateModel); return the differences."""
    if found is None:
        return [f"the model {expected['ModelName']} does not exist"]
    return _differences(_model_pairs(found, expected))


def _differences(pairs: Iterable[tuple[str, Any, Any]]) -> list[str]:
    return [f"{what} is {actual}, not {wanted}" for what, actual, wanted in pairs if actual != wanted]


def _model_pairs(model: Mapping[str, Any], expected: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    found, wanted = model.get("PrimaryContainer", {}), expected["PrimaryContainer"]
    return [
        ("the model's role", model.get("ExecutionRoleArn"), expected["ExecutionRoleArn"]),
        ("the model's image", found.get("Image"), wanted["Image"]),
        ("the model's data", found.get("ModelDataUrl"), wanted["ModelDataUrl"]),
        ("the model's environment", found.get("Environment"), wanted["Environment"]),
    ]


def _capture_pairs(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Compare what is captured, how much of it, and where to; a key that encrypts it may be added."""
    names = {
        "EnableCapture": "whether the config captures data",
        "InitialSamplingPercentage": "the captured share",
        "DestinationS3Uri": "where captured data go",
        "CaptureOptions": "what is captured",
    }
    return [(what, found.get(name, False), wanted.get(name, False)) for name, what in names.items()]


def resolved_digests(endpoint: Mapping[str, Any]) -> list[str]:
    """Return the digests of the images that run; an image that SageMaker did not resolve has none."""
    resolved = [
        image.get("ResolvedImage", "")
        for variant in endpoint.get("ProductionVariants", [])
        for image in variant.get("DeployedImages", [])
    ]
    return [image.rpartition("@")[2] for image in resolved if "@" in image]
