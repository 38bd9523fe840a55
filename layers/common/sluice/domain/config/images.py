"""Resolve a framework's image as the SageMaker Python SDK does: an account by region, a tag by version.

Accounts, versions and tags are those of the SDK's image_uri_config (sklearn.json, xgboost.json, pytorch.json,
tensorflow.json, huggingface.json) at https://github.com/aws/sagemaker-python-sdk, commit a248126, read on
2026-11-29. Of the deep learning frameworks the versions since 2023 are listed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Literal

from sluice.domain.nearest import hint
from sluice.lazy import dataclass

Use = Literal["training", "inference"]
Processor = Literal["cpu", "gpu", "neuron"]
# AWS's accounts whose registries hold the images of scikit-learn and xgboost, by region.
_ALGORITHM_ACCOUNTS = {
    "af-south-1": "510948584623",
    "ap-east-1": "651117190479",
    "ap-northeast-1": "354813040037",
    "ap-northeast-2": "366743142698",
    "ap-northeast-3": "867004704886",
    "ap-south-1": "720646828776",
    "ap-south-2": "628508329040",
    "ap-southeast-1": "121021644041",
    "ap-southeast-2": "783357654285",
    "ap-southeast-3": "951798379941",
    "ap-southeast-4": "106583098589",
    "ca-central-1": "341280168497",
    "ca-west-1": "190319476487",
    "cn-north-1": "450853457545",
    "cn-northwest-1": "451049120500",
    "eu-central-1": "492215442770",
    "eu-central-2": "680994064768",
    "eu-north-1": "662702820516",
    "eu-south-1": "978288397137",
    "eu-south-2": "104374241257",
    "eu-west-1": "141502667606",
    "eu-west-2": "764974769150",
    "eu-west-3": "659782779980",
    "il-central-1": "898809789911",
    "me-central-1": "272398656194",
    "me-south-1": "801668240914",
    "sa-east-1": "737474898029",
    "us-east-1": "683313688378",
    "us-east-2": "257758044811",
    "us-gov-east-1": "237065988967",
    "us-gov-west-1": "414596584902",
    "us-iso-east-1": "833128469047",
    "us-isob-east-1": "281123927165",
    "us-isof-east-1": "108575199400",
    "us-isof-south-1": "124985052026",
    "us-west-1": "746614075791",
    "us-west-2": "246618743249",
}
# AWS's accounts with deep learning containers: one for most regions, and others.
_DEEP_LEARNING_ACCOUNT = "763104351884"
_DEEP_LEARNING_ACCOUNTS = {
    **dict.fromkeys(
        (
            *("ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
            *("ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"),
            *("sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"),
        ),
        _DEEP_LEARNING_ACCOUNT,
    ),
    "af-south-1": "626614931356",
    "ap-east-1": "871362719292",
    "ap-east-2": "975050140332",
    "ap-northeast-3": "364406365360",
    "ap-south-2": "772153158452",
    "ap-southeast-3": "907027046896",
    "ap-southeast-4": "457447274322",
    "ap-southeast-5": "550225433462",
    "ap-southeast-6": "633930458069",
    "ap-southeast-7": "590183813437",
    "ca-west-1": "204538143572",
    "cn-north-1": "727897471807",
    "cn-northwest-1": "727897471807",
    "eu-central-2": "380420809688",
    "eu-south-1": "692866216735",
    "eu-south-2": "503227376785",
    "il-central-1": "780543022126",
    "me-central-1": "914824155844",
    "me-south-1": "217643126080",
    "mx-central-1": "637423239942",
    "us-gov-east-1": "446045086412",
    "us-gov-west-1": "442386744353",
    "us-iso-east-1": "886529160074",
    "us-isob-east-1": "094389454867",
    "us-isof-east-1": "303241398832",
    "us-isof-south-1": "454834333376",
}
_ISOF = frozenset({"us-isof-east-1", "us-isof-south-1"})
_ISO = _ISOF | {"us-iso-east-1", "us-isob-east-1"}
# Regions without images of Hugging Face that serve, and without those that train.
_NEW = frozenset({"ap-east-2", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "mx-central-1"})
_NO_HF_INFERENCE = _ISOF | _NEW
_NO_HF_TRAINING = _NO_HF_INFERENCE | {"ap-south-2", "ap-southeast-4", "eu-central-2", "eu-south-2"}
_DNS_SUFFIXES = {
    "cn-": "amazonaws.com.cn",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
}
# Families of instances with GPUs: ml.g5.xlarge, ml.p4d.24xlarge.
_GPU = re.compile(r"ml\.[gp]\d")
# Those with AWS's own chips, whose images (Neuron) are not listed here.
_NEURON = re.compile(r"ml\.(inf|trn)\d")


class UnknownImageError(ValueError):
    """There is no such framework image; `wrong` names the field that must change."""

    def __init__(
        self, message: str, wrong: Literal["name", "version", "region", "instance"] = "version"
    ) -> None:
        super().__init__(message)
        self.wrong = wrong


@dataclass(frozen=True, slots=True)
class _Image:
    """The images of one version: the tag by processor, and the regions that lack them."""

    tags: Mapping[Processor, str]
    missing: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Framework:
    """A framework's images by use and version; `repositories` and `accounts` say where they are."""

    repositories: Mapping[Use, str]
    accounts: Mapping[str, str]
    images: Mapping[Use, Mapping[str, _Image]] = field(repr=False)


def _on_both(tag: str, missing: frozenset[str] = frozenset()) -> _Image:
    """Return an image that exists for both processors; `{}` in the tag stands for them."""
    return _Image({"cpu": tag.format("cpu"), "gpu": tag.format("gpu")}, missing)


def _on_cpu(tag: str) -> _Image:
    return _Image({"cpu": tag})


_SCIKIT_LEARN = {
    version: _on_cpu(f"{version}-cpu-py3")
    for version in ("0.20.0", "0.23-1", "1.0-1", "1.2-1", "1.4-2", "1.4-2-py312")
}
# From 1.2 on a tag is the version alone: the image runs on instances with and without a GPU.
_XGBOOST = {
    **{version: _on_cpu(f"{version}-cpu-py3") for version in ("0.90-1", "0.90-2", "1.0-1")},
    **{
        version: _on_both(version)
        for version in ("1.2-1", "1.2-2", "1.3-1", "1.5-1", "1.7-1", "3.0-5", "3.2-0")
    },
}
_PYTORCH_TRAINING = {
    "2.0.0": _on_both("2.0.0-{}-py310", _ISOF),
    "2.0.1": _on_both("2.0.1-{}-py310", _ISOF),
    "2.1.0": _on_both("2.1.0-{}-py310"),
    "2.2.0": _on_both("2.2.0-{}-py310"),
    "2.3.0": _on_both("2.3.0-{}-py311"),
    "2.4.0": _on_both("2.4.0-{}-py311", _ISO),
    "2.5.1": _on_both("2.5.1-{}-py311", _ISO),
    "2.6.0": _on_both("2.6.0-{}-py312", _ISO),
    "2.7.1": _on_both("2.7.1-{}-py312", _ISO),
    "2.8.0": _on_both("2.8.0-{}-py312", _ISO),
}
_PYTORCH_INFERENCE = {
    "2.0.0": _on_both("2.0.0-{}-py310", _ISOF),
    "2.0.1": _on_both("2.0.1-{}-py310", _ISOF),
    "2.1.0": _on_both("2.1.0-{}-py310"),
    "2.2.0": _on_both("2.2.0-{}-py310"),
    "2.3.0": _on_both("2.3.0-{}-py311", _ISO),
    "2.4.0": _on_both("2.4.0-{}-py311", _ISO),
    "2.5.1": _on_both("2.5.1-{}-py311", _ISO),
    "2.6.0": _on_both("2.6.0-{}-py312", _ISO),
}
_TENSORFLOW_TRAINING = {
    "2.11.0": _on_both("2.11.0-{}-py39", _ISOF),
    "2.12.0": _on_both("2.12.0-{}-py310", _ISO),
    "2.13.0": _on_both("2.13.0-{}-py310"),
    "2.14.1": _on_both("2.14.1-{}-py310"),
    "2.16.2": _on_both("2.16.2-{}-py310", _ISO),
    "2.18.0": _on_both("2.18.0-{}-py310", _ISO),
    "2.19.0": _on_both("2.19.0-{}-py312", _ISO),
}
_TENSORFLOW_INFERENCE = {
    "2.11.1": _on_both("2.11.1-{}", _ISOF),
    "2.12.1": _on_both("2.12.1-{}", _ISOF),
    "2.13.0": _on_both("2.13.0-{}"),
    "2.14.1": _on_both("2.14.1-{}"),
    "2.16.1": _on_both("2.16.1-{}", _ISO),
    "2.18.0": _on_both("2.18.0-{}", _ISO),
    "2.19.0": _on_both("2.19.0-{}", _ISO),
}


def _trains_transformers(pytorch: str, transformers: str, python: str, container: str) -> _Image:
    """Hugging Face's images that train exist for GPUs alone."""
    tag = f"{pytorch}-transformers{transformers}-gpu-{python}-{container}"
    return _Image({"gpu": tag}, _NO_HF_TRAINING)


def _serves_transformers(pytorch: str, transformers: str, python: str, gpu: str, cpu: str) -> _Image:
    name = f"{pytorch}-transformers{transformers}"
    return _Image(
        {"gpu": f"{name}-gpu-{python}-{gpu}", "cpu": f"{name}-cpu-{python}-{cpu}"}, _NO_HF_INFERENCE
    )


# By the version of transformers, on PyTorch.
_HUGGING_FACE_TRAINING = {
    "4.26.0": _trains_transformers("1.13.1", "4.26.0", "py39", "cu117-ubuntu20.04"),
    "4.28.1": _trains_transformers("2.0.0", "4.28.1", "py310", "cu118-ubuntu20.04"),
    "4.36.0": _trains_transformers("2.1.0", "4.36.0", "py310", "cu121-ubuntu20.04"),
    "4.46.1": _trains_transformers("2.3.0", "4.46.1", "py311", "cu121-ubuntu20.04"),
    "4.48.0": _trains_transformers("2.3.0", "4.48.0", "py311", "cu121-ubuntu20.04"),
    "4.49.0": _trains_transformers("2.5.1", "4.49.0", "py311", "cu124-ubuntu22.04"),
    "4.55.0": _trains_transformers("2.7.1", "4.55.0", "py312", "cu128-ubuntu22.04"),
    "4.56.2": _trains_transformers("2.8.0", "4.56.2", "py312", "cu129-ubuntu22.04"),
    "5.3.0": _trains_transformers("2.9.0", "5.3.0", "py312", "cu130-ubuntu22.04"),
}
_HUGGING_FACE_INFERENCE = {
    "4.26.0": _serves_transformers("1.13.1", "4.26.0", "py39", "cu117-ubuntu20.04", "ubuntu20.04"),
    "4.28.1": _serves_transformers("2.0.0", "4.28.1", "py310", "cu118-ubuntu20.04", "ubuntu20.04"),
    "4.37.0": _serves_transformers("2.1.0", "4.37.0", "py310", "cu118-ubuntu20.04", "ubuntu22.04"),
    "4.48.0": _serves_transformers("2.3.0", "4.48.0", "py311", "cu121-ubuntu22.04", "ubuntu22.04"),
    "4.49.0": _serves_transformers("2.6.0", "4.49.0", "py312", "cu124-ubuntu22.04", "ubuntu22.04"),
    "4.51.3": _serves_transformers("2.6.0", "4.51.3", "py312", "cu124-ubuntu22.04", "ubuntu22.04"),
    "5.5.3": _serves_transformers("2.6.0", "5.5.3", "py312", "cu124-ubuntu22.04", "ubuntu22.04"),
}


def _both(repository: str) -> dict[Use, str]:
    return {"training": f"{repository}-training", "inference": f"{repository}-inference"}


def _one(repository: str, images: Mapping[str, _Image]) -> _Framework:
    """Return a framework whose images both train and serve."""
    both: dict[Use, str] = {"training": repository, "inference": repository}
    return _Framework(both, _ALGORITHM_ACCOUNTS, {"training": images, "inference": images})


_FRAMEWORKS: Mapping[str, _Framework] = {
    "scikit-learn": _one("sagemaker-scikit-learn", _SCIKIT_LEARN),
    "xgboost": _one("sagemaker-xgboost", _XGBOOST),
    "pytorch": _Framework(
        _both("pytorch"),
        _DEEP_LEARNING_ACCOUNTS,
        {"training": _PYTORCH_TRAINING, "inference": _PYTORCH_INFERENCE},
    ),
    "tensorflow": _Framework(
        _both("tensorflow"),
        _DEEP_LEARNING_ACCOUNTS,
        {"training": _TENSORFLOW_TRAINING, "inference": _TENSORFLOW_INFERENCE},
    ),
    "huggingface": _Framework(
        _both("huggingface-pytorch"),
        _DEEP_LEARNING_ACCOUNTS,
        {"training": _HUGGING_FACE_TRAINING, "inference": _HUGGING_FACE_INFERENCE},
    ),
}


def versions(framework: str, use: Use = "training") -> tuple[str, ...]:
    """Return the versions of a framework that train or that serve, oldest first."""
    return tuple(_FRAMEWORKS[framework].images[use])


def full_version(framework: str, version: str, use: Use = "training") -> str | None:
    """Return the version in full: `2.6` is the newest 2.6.x; None if there is none."""
    known = versions(framework, use)
    if version in known:
        return version
    return next((each for each in reversed(known) if each.startswith(f"{version}.")), None)


def processor_of(instance_type: str) -> Processor:
    if _NEURON.match(instance_type):
        return "neuron"
    return "gpu" if _GPU.match(instance_type) else "cpu"


def uri(
    framework: str,
    version: str,
    region: str,
    use: Use = "training",
    instance_type: str = "ml.m5.large",
) -> str:
    """Return the URI of a framework's image for an instance type; raises UnknownImageError."""
    found = _FRAMEWORKS[framework]
    full = full_version(framework, version, use)
    if full is None:
        what = f"{framework} image that {_does(use)} of version"
        raise UnknownImageError(_unknown(what, version, versions(framework, use)))
    image, processor = found.images[use][full], processor_of(instance_type)
    if processor not in image.tags:
        raise UnknownImageError(_no_processor(framework, use, instance_type), "instance")
    account = None if region in image.missing else found.accounts.get(region)
    if account is None:
        regions = [each for each in found.accounts if each not in image.missing]
        what = f"region with a {framework} image of version {full} that {_does(use)}"
        raise UnknownImageError(_unknown(what, region, regions), "region")
    return f"{account}.dkr.ecr.{region}.{_suffix(region)}/{found.repositories[use]}:{image.tags[processor]}"


def _does(use: Use) -> str:
    return "trains" if use == "training" else "serves"


def _no_processor(framework: str, use: Use, instance_type: str) -> str:
    if processor_of(instance_type) == "cpu":
        return (
            f"{framework} has no image that {_does(use)} without a GPU: name an instance type with one, "
            f"such as ml.g4dn.xlarge, in place of {instance_type}"
        )
    return (
        f"{framework} has no image for {instance_type}: name another instance type, or an image of your own"
    )


def _suffix(region: str) -> str:
    return next(
        (suffix for prefix, suffix in _DNS_SUFFIXES.items() if region.startswith(prefix)), "amazonaws.com"
    )


def _unknown(what: str, given: str, known: Iterable[str]) -> str:
    listed = list(known)
    return f"no {what} {given!r}{hint(given, listed) or ';'} there are {', '.join(listed)}"
