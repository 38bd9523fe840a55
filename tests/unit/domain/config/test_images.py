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
    assert images.uri("scikit-learn", "1.4-2", region) == f"{registry}/sagemaker-scikit-learn:1.4-2-cpu-py3"


def test_an_unknown_version_lists_those_that_exist() -> None:
    with pytest.raises(
        images.UnknownImageError, match=r"'1\.4-1'; did you mean '1\.4-2'\? there are 0\.20\.0"
    ):
        images.uri("scikit-learn", "1.4-1", "eu-central-1")


def test_an_unknown_region_lists_those_that_exist() -> None:
    with pytest.raises(
        images.UnknownImageError, match=r"region .* 'moon-1'; there are af-south-1, ap-east-1"
    ):
        images.uri("scikit-learn", "1.4-2", "moon-1")


# What the SDK's image_uris.retrieve returns, worked out by hand from its tables.
@pytest.mark.parametrize(
    ("framework", "version", "use", "instance_type", "image"),
    [
        ("xgboost", "1.0-1", "training", "ml.m5.large", "sagemaker-xgboost:1.0-1-cpu-py3"),
        ("xgboost", "1.7-1", "training", "ml.m5.large", "sagemaker-xgboost:1.7-1"),
        ("xgboost", "3.0-5", "inference", "ml.g5.xlarge", "sagemaker-xgboost:3.0-5"),
        ("pytorch", "2.6", "training", "ml.g5.xlarge", "pytorch-training:2.6.0-gpu-py312"),
        ("pytorch", "2.6.0", "inference", "ml.m5.large", "pytorch-inference:2.6.0-cpu-py312"),
        ("tensorflow", "2.16", "training", "ml.p3.2xlarge", "tensorflow-training:2.16.2-gpu-py310"),
        ("tensorflow", "2.16", "inference", "ml.c5.xlarge", "tensorflow-inference:2.16.1-cpu"),
        (
            "huggingface",
            "4.49.0",
            "training",
            "ml.g5.xlarge",
            "huggingface-pytorch-training:2.5.1-transformers4.49.0-gpu-py311-cu124-ubuntu22.04",
        ),
        (
            "huggingface",
            "4.37",
            "inference",
            "ml.m5.large",
            "huggingface-pytorch-inference:2.1.0-transformers4.37.0-cpu-py310-ubuntu22.04",
        ),
    ],
)
def test_each_framework_has_its_images(
    framework: str, version: str, use: images.Use, instance_type: str, image: str
) -> None:
    found = images.uri(framework, version, "us-east-1", use, instance_type)
    account = "683313688378" if framework == "xgboost" else "763104351884"
    assert found == f"{account}.dkr.ecr.us-east-1.amazonaws.com/{image}"


@pytest.mark.parametrize(
    ("framework", "instance_type"),
    [("huggingface", "ml.m5.large"), ("scikit-learn", "ml.g5.xlarge"), ("pytorch", "ml.trn1.2xlarge")],
)
def test_an_instance_without_an_image_is_refused(framework: str, instance_type: str) -> None:
    newest = images.versions(framework)[-1]
    with pytest.raises(images.UnknownImageError, match="name an") as refused:
        images.uri(framework, newest, "us-east-1", "training", instance_type)
    assert refused.value.wrong == "instance"


def test_a_region_that_lacks_one_version_is_refused_for_it() -> None:
    assert images.uri("pytorch", "2.3.0", "us-iso-east-1").startswith("886529160074.dkr.ecr.us-iso-east-1.")
    with pytest.raises(images.UnknownImageError, match="'us-iso-east-1'"):
        images.uri("pytorch", "2.6.0", "us-iso-east-1")
    with pytest.raises(images.UnknownImageError, match="did you mean 'eu-central-1'"):
        images.uri("pytorch", "2.6.0", "eu-centrl-1")


def test_every_image_is_in_the_default_region_and_every_account_has_twelve_digits() -> None:
    for framework in ("scikit-learn", "xgboost", "pytorch", "tensorflow", "huggingface"):
        for use in ("training", "inference"):
            for version in images.versions(framework, use):
                instance_type = "ml.g4dn.xlarge" if framework not in ("scikit-learn",) else "ml.m5.large"
                if framework == "xgboost":
                    instance_type = "ml.m5.large"
                found = images.uri(framework, version, "us-east-1", use, instance_type)
                assert len(found.partition(".")[0]) == 12
