"""Resolve a framework's image as the SageMaker Python SDK does: an account by region, a tag by version."""

from __future__ import annotations

from collections.abc import Iterable

from sluice.domain.nearest import hint

SCIKIT_LEARN_VERSIONS = ("0.20.0", "0.23-1", "1.0-1", "1.2-1", "1.4-2")
# AWS's accounts whose registries hold the image, by region.
_SCIKIT_LEARN_ACCOUNTS = {
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
_DNS_SUFFIXES = {
    "cn-": "amazonaws.com.cn",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
}


class UnknownImageError(ValueError):
    """The region has no such framework image."""


def scikit_learn(version: str, region: str) -> str:
    """Return the URI of SageMaker's scikit-learn image; raises UnknownImageError."""
    if version not in SCIKIT_LEARN_VERSIONS:
        raise UnknownImageError(_unknown("scikit-learn image", version, SCIKIT_LEARN_VERSIONS))
    account = _SCIKIT_LEARN_ACCOUNTS.get(region)
    if account is None:
        raise UnknownImageError(_unknown("region with a scikit-learn image", region, _SCIKIT_LEARN_ACCOUNTS))
    suffix = next(
        (suffix for prefix, suffix in _DNS_SUFFIXES.items() if region.startswith(prefix)), "amazonaws.com"
    )
    return f"{account}.dkr.ecr.{region}.{suffix}/sagemaker-scikit-learn:{version}-cpu-py3"


def _unknown(what: str, given: str, known: Iterable[str]) -> str:
    return f"no {what} {given!r}{hint(given, known) or ';'} there are {', '.join(known)}"
