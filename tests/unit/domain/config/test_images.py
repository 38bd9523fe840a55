"""A framework's image is the one the SageMaker Python SDK names."""

import pytest

from sluice.domain.config import images


@pytest.mark.parametrize(
    ("region", "registry"),
    [
        ("eu-central-1", "492215442770.dkr.ecr.eu-central-1.amazonaws.com"),
        ("us-east-1", "683313688378.dkr.ecr.us-east-1.amazonaws.com"),
        ("cn-north-1", "450853457545.dkr.ecr.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "414596584902.dkr.ecr.us-gov-west-1.amazonaws.com"),
        ("us-iso-east-1", "833128469047.dkr.ecr.us-iso-east-1.c2s.ic.gov"),
        ("us-isob-east-1", "281123927165.dkr.ecr.us-isob-east-1.sc2s.sgov.gov"),
        ("us-isof-south-1", "124985052026.dkr.ecr.us-isof-south-1.csp.hci.ic.gov"),
    ],
)
def test_the_uri_is_the_sdks(region: str, registry: str) -> None:
    assert images.scikit_learn("1.4-2", region) == f"{registry}/sagemaker-scikit-learn:1.4-2-cpu-py3"


def test_an_unknown_version_lists_those_that_exist() -> None:
    with pytest.raises(
        images.UnknownImageError, match=r"'1\.4-1'; did you mean '1\.4-2'\? there are 0\.20\.0"
    ):
        images.scikit_learn("1.4-1", "eu-central-1")


def test_an_unknown_region_lists_those_that_exist() -> None:
    with pytest.raises(
        images.UnknownImageError, match=r"region .* 'moon-1'; there are af-south-1, ap-east-1"
    ):
        images.scikit_learn("1.4-2", "moon-1")
