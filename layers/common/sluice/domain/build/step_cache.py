"""Name what a job computes by all that it depends on, so that a step need not be computed twice.

A step's key is the sha256 of its parts: every field of its SageMaker request but those that only say who runs
it, where its outputs go and how long it may take. Where the request names objects, their content counts, not
their place. So a field that somebody adds to a request is part of the key without being named here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sluice.domain import canonical
from sluice.lazy import dataclass

FORMAT = "1"
# The part that a job on Lambda has beside its image.
PACKAGES = "packages"
Parts = Mapping[str, str]
# Fields of a request that its outcome does not depend on.
_LEFT_OUT = (
    "ProcessingJobName",
    "TrainingJobName",
    "RoleArn",
    "Tags",
    "StoppingCondition",
    "OutputDataConfig",
    "CheckpointConfig",
    "EnableManagedSpotTraining",
    "ResourceConfig.VolumeSizeInGB",
    "ResourceConfig.KeepAlivePeriodInSeconds",
    "ProcessingResources.ClusterConfig.VolumeSizeInGB",
    # The scripts count by their files.
    "ProcessingInputs.code",
    "HyperParameters.sagemaker_submit_directory",
)
# What a name in a list of SageMaker's is called.
_NAMES = ("InputName", "OutputName", "ChannelName", "Name")
# How a part is called for people, by the beginning and the end of its path.
_CALLED = (
    ("ProcessingInputs.", ".S3Input.S3Uri", "input."),
    ("InputDataConfig.", ".DataSource.S3DataSource.S3Uri", "input."),
    ("AppSpecification.ContainerArguments.--", "", "parameter."),
    ("AppSpecification.ImageUri", "", "image"),
    ("AlgorithmSpecification.TrainingImage", "", "image"),
    ("HyperParameters.", "", "hyperparameter."),
    ("Environment.", "", "environment."),
)
# A longer value is told by its digest.
_VALUE_MAX = 200


class UnknownContentError(LookupError):
    """A request names objects whose content is not known, so it has no key; the message names them."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A part of a step and what it was before; None where there was none or is none now."""

    part: str
    before: str | None
    now: str | None


def parts(
    request: Mapping[str, Any],
    contents: Mapping[str, str],
    code: Mapping[str, str],
    environment: str | None = None,
) -> dict[str, str]:
    """Return what a job depends on, by name.

    `contents` are the digests of the request's inputs by S3 URI, `code` those of the scripts' files by path,
    `environment` that of its packages if they are not the image's. Raises UnknownContentError.
    """
    found = {_called(path): _known(path, value, contents) for path, value in _fields(request)}
    found |= {f"code.{path}": digest for path, digest in code.items()}
    return {**found, **({PACKAGES: environment} if environment else {})}


def image_of(request: Mapping[str, Any], image: str) -> Mapping[str, Any]:
    """Return the request of a processing job with its image by the tag, if it has one beside its digest.

    A tag names an image here, as in the requests of jobs that have none by digest.
    """
    named, _, digest = image.partition("@")
    if not digest or ":" not in named.rpartition("/")[2]:
        return request
    return {**request, "AppSpecification": {**request["AppSpecification"], "ImageUri": named}}


def key(of: Parts) -> str:
    """Return the key of a step's parts, whatever their order."""
    return canonical.digest({"format": FORMAT, "parts": dict(of)})


def differences(now: Parts, before: Parts) -> list[Difference]:
    """Return which parts differ, by name."""
    return [
        Difference(part, before.get(part), now.get(part))
        for part in sorted({*now, *before})
        if now.get(part) != before.get(part)
    ]


def content(objects: Sequence[tuple[str, int, str]]) -> str | None:
    """Return the digest of an output: its objects' paths, sizes and digests. None if there are none."""
    return canonical.digest(sorted(objects)) if objects else None


def _fields(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield each field of a request with its path; what a list names is found by that name."""
    if path in _LEFT_OUT or _is_output(path):
        return
    if path == "AppSpecification.ContainerArguments":
        value = dict(zip(value[::2], value[1::2], strict=True))
    if isinstance(value, Mapping):
        for name in value:
            yield from _fields(value[name], f"{path}.{name}" if path else name)
    elif isinstance(value, list | tuple) and value and all(isinstance(each, Mapping) for each in value):
        for index, each in enumerate(value):
            name = next((str(each[name]) for name in _NAMES if name in each), str(index))
            yield from _fields(each, f"{path}.{name}")
    else:
        yield path, value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _is_output(path: str) -> bool:
    return path.startswith("ProcessingOutputConfig.") and path.endswith(".S3Output.S3Uri")


def _known(path: str, value: str, contents: Mapping[str, str]) -> str:
    if path.endswith(".S3Uri"):
        if value not in contents:
            raise UnknownContentError(f"the content of {value} is not known")
        return contents[value]
    if len(value) > _VALUE_MAX:
        return f"sha256 {hashlib.sha256(value.encode()).hexdigest()}, {len(value)} characters"
    return value


def _called(path: str) -> str:
    for start, end, name in _CALLED:
        if path.startswith(start) and path.endswith(end) and (end or name.endswith(".") or path == start):
            return name + path.removeprefix(start).removesuffix(end)
    return path
