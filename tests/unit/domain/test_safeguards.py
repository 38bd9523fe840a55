"""What a locked-down account demands is in every request, as SageMaker and CloudWatch take it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import botocore.session
import botocore.validate
import pytest

from sluice.domain import safeguards
from sluice.domain.build import jobs
from sluice.domain.config import PipelineConfig
from sluice.domain.config.monitor import Monitor
from sluice.domain.release import serving
from sluice.domain.safeguards import Safeguards

KEY = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-1111-2222-3333-444455556666"
OWNER = {"sluice:stack": "sluice"}
VPC = {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
ALL = Safeguards(
    kms_key_arn=KEY,
    subnets=("subnet-1", "subnet-2"),
    security_groups=("sg-1",),
    isolates_jobs=True,
    encrypts_job_traffic=True,
    tags={"team": "ml"},
)
CONTAINER = {"Image": "image", "ModelDataUrl": "s3://a/model.tar.gz", "Environment": {}}
Valid = Callable[[str, str, dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="module")
def valid() -> Valid:
    """A request, once botocore finds nothing wrong with it."""
    session = botocore.session.get_session()

    def check(service: str, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        shape = session.get_service_model(service).operation_model(operation).input_shape
        assert shape is not None
        report = botocore.validate.ParamValidator().validate(request, shape)
        assert not report.has_errors(), report.generate_report()
        return request

    return check


@pytest.fixture
def build(pipeline_config: PipelineConfig) -> jobs.Build:
    return jobs.Build(
        config=pipeline_config,
        stack="sluice",
        run_id="reviews-sentiment-00001",
        project_version="f" * 64,
        artifact_bucket="artifacts",
        role_arn="arn:aws:iam::123456789012:role/jobs",
        region="eu-central-1",
    )


def requests(build: jobs.Build) -> dict[str, tuple[Any, jobs.Request]]:
    return {
        "prepare": ("processing_job", jobs.prepare_request(build, "s3://a/files.manifest")),
        "train": ("training_job", jobs.training_request(build, "train-0", {"alpha": "0.1"})),
        "evaluate": ("processing_job", jobs.evaluate_request(build, "candidate", "s3://a/model.tar.gz")),
    }


def tags(request: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in request["Tags"]}


@pytest.mark.parametrize("step", ["prepare", "evaluate"])
def test_a_processing_job_runs_in_the_accounts_network_under_its_key(
    build: jobs.Build, valid: Valid, step: str
) -> None:
    kind, request = requests(build)[step]
    secured = valid("sagemaker", "CreateProcessingJob", ALL.job(kind, request))
    assert secured["NetworkConfig"] == {
        "VpcConfig": VPC,
        "EnableNetworkIsolation": True,
        "EnableInterContainerTrafficEncryption": True,
    }
    assert secured["ProcessingOutputConfig"]["KmsKeyId"] == KEY
    assert secured["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] == KEY
    assert tags(secured).items() >= {"team": "ml", "sluice:run": "reviews-sentiment-00001"}.items()


def test_a_training_job_does_so_too_and_has_its_scripts_brought(build: jobs.Build, valid: Valid) -> None:
    kind, request = requests(build)["train"]
    secured = valid("sagemaker", "CreateTrainingJob", ALL.job(kind, request))
    assert secured["VpcConfig"] == VPC
    assert (secured["EnableNetworkIsolation"], secured["EnableInterContainerTrafficEncryption"]) == (
        True,
        True,
    )
    assert secured["OutputDataConfig"]["KmsKeyId"] == secured["ResourceConfig"]["VolumeKmsKeyId"] == KEY
    assert secured["InputDataConfig"][-1]["ChannelName"] == "code"
    archive = '"/opt/ml/input/data/code/sourcedir.tar.gz"'
    assert secured["HyperParameters"]["sagemaker_submit_directory"] == archive
    assert secured["HyperParameters"]["alpha"] == "0.1"


@pytest.mark.parametrize(
    ("instance_type", "has_own_disks"),
    [
        ("ml.m5.large", False),
        ("ml.m5d.large", True),
        ("ml.c6gd.xlarge", True),
        ("ml.g4dn.xlarge", True),
        ("ml.g5.xlarge", True),
        ("ml.p3.2xlarge", False),
        ("ml.p3dn.24xlarge", True),
        ("ml.r5.large", False),
    ],
)
def test_disks_with_a_key_of_their_own_get_no_other(
    build: jobs.Build, valid: Valid, instance_type: str, has_own_disks: bool
) -> None:
    kind, request = requests(build)["train"]
    request["ResourceConfig"]["InstanceType"] = instance_type
    secured = valid("sagemaker", "CreateTrainingJob", ALL.job(kind, request))
    assert ("VolumeKmsKeyId" not in secured["ResourceConfig"]) == has_own_disks
    assert secured["OutputDataConfig"]["KmsKeyId"] == KEY


def test_what_serves_is_in_the_network_under_the_key_and_tagged(
    pipeline_config: PipelineConfig, valid: Valid
) -> None:
    role = "arn:aws:iam::123456789012:role/serving"
    model = valid(
        "sagemaker", "CreateModel", ALL.model(serving.model_request(CONTAINER, 1, "m", role, OWNER))
    )
    assert (model["VpcConfig"], "EnableNetworkIsolation" in model, tags(model)["team"]) == (VPC, False, "ml")
    compute = pipeline_config.serve.compute
    config = ALL.endpoint_config(serving.endpoint_config_request("c", "m", compute, OWNER))
    valid("sagemaker", "CreateEndpointConfig", config)
    assert (config["KmsKeyId"], tags(config)["team"]) == (KEY, "ml")
    own_disks = compute.model_copy(update={"instance_type": "ml.g5.xlarge"})
    assert "KmsKeyId" not in ALL.endpoint_config(serving.endpoint_config_request("c", "m", own_disks, OWNER))


@pytest.mark.parametrize("instance_type", ["ml.m5.large", "ml.g5.xlarge"])
def test_what_is_captured_is_encrypted_whatever_the_disk(
    valid: Valid, pipeline_config: PipelineConfig, instance_type: str
) -> None:
    capture = serving.data_capture(Monitor(), pipeline_config.serve, "s3://a/captured")
    compute = pipeline_config.serve.compute.model_copy(update={"instance_type": instance_type})
    request = serving.endpoint_config_request("c", "m", compute, OWNER, capture)
    secured = valid("sagemaker", "CreateEndpointConfig", ALL.endpoint_config(request))
    assert secured["DataCaptureConfig"] == {**capture, "KmsKeyId": KEY}
    plain = replace(ALL, kms_key_arn="").endpoint_config(request)
    assert plain["DataCaptureConfig"] == capture


@pytest.mark.parametrize(("instance_type", "has_own_disks"), [("ml.m5.large", False), ("ml.g5.xlarge", True)])
def test_a_transforms_answers_are_encrypted_and_its_disk_where_a_key_can_be(
    valid: Valid, instance_type: str, has_own_disks: bool
) -> None:
    request = {
        "TransformJobName": "t",
        "ModelName": "m",
        "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://a/in"}}},
        "TransformOutput": {"S3OutputPath": "s3://a/out"},
        "TransformResources": {"InstanceType": instance_type, "InstanceCount": 1},
        "Tags": [],
    }
    secured = valid("sagemaker", "CreateTransformJob", ALL.job("transform_job", request))
    assert secured["TransformOutput"] == {"S3OutputPath": "s3://a/out", "KmsKeyId": KEY}
    assert ("VolumeKmsKeyId" in secured["TransformResources"]) is not has_own_disks
    plain = replace(ALL, kms_key_arn="").job("transform_job", request)
    assert plain == {**request, "Tags": [{"Key": "team", "Value": "ml"}]}


def test_alarms_and_groups_are_tagged_beside_what_they_carry(valid: Valid) -> None:
    alarm = {"AlarmName": "a", "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold"}
    own = {"Key": "team", "Value": "ours"}
    assert tags(valid("cloudwatch", "PutMetricAlarm", ALL.tagged(alarm))) == {"team": "ml"}
    assert ALL.tagged({**alarm, "Tags": [own]})["Tags"] == [own]
    assert Safeguards().tagged(alarm) == alarm


@pytest.mark.parametrize("step", ["prepare", "train", "evaluate"])
def test_an_account_that_demands_nothing_changes_nothing_but_what_is_said_anyway(
    build: jobs.Build, step: str
) -> None:
    kind, request = requests(build)[step]
    secured = Safeguards().job(kind, request)
    network = secured.pop("NetworkConfig", secured)
    assert network.pop("EnableInterContainerTrafficEncryption") is False
    assert network["EnableNetworkIsolation"] is False
    assert secured == {**request, **({} if kind == "processing_job" else {"EnableNetworkIsolation": False})}


def test_a_role_may_do_what_the_safeguards_need_and_no_more() -> None:
    assert Safeguards().statements() == []
    key, grant, network = ALL.statements()
    assert (key["Resource"], grant["Resource"], network["Resource"]) == (KEY, KEY, "*")
    # A script that could grant the use of the key as it likes could give it to anybody.
    assert "kms:CreateGrant" not in key["Action"]
    assert grant["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    assert replace(ALL, kms_key_arn="").statements() == [network]


def test_tags_are_read_from_text() -> None:
    assert safeguards.parse_tags("") == {}
    assert safeguards.parse_tags("team=ml,cost center=a=b,empty=") == {
        "team": "ml",
        "cost center": "a=b",
        "empty": "",
    }
