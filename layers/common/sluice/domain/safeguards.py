"""What an account demands of resources made at run time: a key, a network, tags."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from sluice.lazy import dataclass

Request = dict[str, Any]
CODE_CHANNEL = "code"
_CODE_FOLDER = f"/opt/ml/input/data/{CODE_CHANNEL}"
_SUBMIT = "sagemaker_submit_directory"
# The stack may demand it of all jobs, and pipeline.yaml of its own.
_ISOLATION = "EnableNetworkIsolation"
# A hardware key encrypts these instances' own disks: SageMaker refuses another key for them.
_OWN_DISKS = re.compile(r"ml\.([a-z]+\d+[a-z]*d[a-z]*|g4dn|g5|g6e?|p4de?|p5e?n?|p6\w*|trn\d\w*)\.")
# SageMaker uses the role of the job or the model to put network interfaces into the account's subnets.
_IN_A_VPC: list[Request] = [
    {
        "Effect": "Allow",
        "Action": [
            "ec2:CreateNetworkInterface",
            "ec2:CreateNetworkInterfacePermission",
            "ec2:DeleteNetworkInterface",
            "ec2:DeleteNetworkInterfacePermission",
            "ec2:DescribeDhcpOptions",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
        ],
        "Resource": "*",
    }
]


@dataclass(frozen=True, slots=True)
class Safeguards:
    """The stack's parameters for jobs, models and endpoints; the default demands nothing."""

    kms_key_arn: str = ""
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    isolates_jobs: bool = False
    encrypts_job_traffic: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    # For the log groups that SageMaker makes; 0 leaves them unchanged.
    log_retention_days: int = 0

    def job(
        self, kind: Literal["training_job", "processing_job", "transform_job"], request: Request
    ) -> Request:
        """Adapt a request that creates a job to the account's demands."""
        secure = {"training_job": self._training, "transform_job": self._transform}
        return self.tagged(secure.get(kind, self._processing)(request))

    def model(self, request: Request) -> Request:
        """Adapt a CreateModel request; the container fetches its scripts, so it always has a network."""
        return self.tagged({**request, **self._vpc})

    def endpoint_config(self, request: Request) -> Request:
        """Adapt a CreateEndpointConfig request; a serverless variant has no instance type."""
        instance_types = [variant.get("InstanceType", "") for variant in request["ProductionVariants"]]
        key: Request = {"KmsKeyId": self.kms_key_arn} if self._has_key_for(*instance_types) else {}
        if self.kms_key_arn and (capture := request.get("DataCaptureConfig")):
            key["DataCaptureConfig"] = self._keyed(capture)
        return self.tagged({**request, **key})

    def statements(self) -> list[Request]:
        """The policy statements that a role of jobs or endpoints needs for all this."""
        return [
            *(_uses_of(self.kms_key_arn) if self.kms_key_arn else []),
            *(_IN_A_VPC if self.subnets else []),
        ]

    def tagged(self, request: Request) -> Request:
        """Add the account's tags to a request; its own tags win."""
        own = request.get("Tags", [])
        keys = {tag["Key"] for tag in own}
        added = [{"Key": key, "Value": value} for key, value in self.tags.items() if key not in keys]
        return {**request, "Tags": [*own, *added]} if own or added else request

    @property
    def _vpc(self) -> Request:
        if not self.subnets:
            return {}
        return {"VpcConfig": {"Subnets": [*self.subnets], "SecurityGroupIds": [*self.security_groups]}}

    def _has_key_for(self, *instance_types: str) -> bool:
        return bool(self.kms_key_arn) and not any(_OWN_DISKS.match(each) for each in instance_types)

    def _keyed(self, output: Request) -> Request:
        return {**output, "KmsKeyId": self.kms_key_arn}

    def _disk(self, resources: Request) -> Request:
        key = {"VolumeKmsKeyId": self.kms_key_arn} if self._has_key_for(resources["InstanceType"]) else {}
        return {**resources, **key}

    def _training(self, request: Request) -> Request:
        isolated = self.isolates_jobs or bool(request.get(_ISOLATION))
        secured = {
            **request,
            **self._vpc,
            _ISOLATION: isolated,
            "EnableInterContainerTrafficEncryption": self.encrypts_job_traffic,
        }
        if self.kms_key_arn:
            secured["OutputDataConfig"] = self._keyed(request["OutputDataConfig"])
            secured["ResourceConfig"] = self._disk(request["ResourceConfig"])
        return _with_code_channel(secured) if isolated else secured

    def _processing(self, request: Request) -> Request:
        network = {
            **self._vpc,
            _ISOLATION: self.isolates_jobs or bool(request.get("NetworkConfig", {}).get(_ISOLATION)),
            "EnableInterContainerTrafficEncryption": self.encrypts_job_traffic,
        }
        secured = {**request, "NetworkConfig": network}
        if self.kms_key_arn:
            secured["ProcessingOutputConfig"] = self._keyed(request["ProcessingOutputConfig"])
            cluster = self._disk(request["ProcessingResources"]["ClusterConfig"])
            secured["ProcessingResources"] = {**request["ProcessingResources"], "ClusterConfig": cluster}
        return secured

    def _transform(self, request: Request) -> Request:
        """Its network is that of its model; an answer is encrypted, and the disk where a key can be."""
        if not self.kms_key_arn:
            return request
        return {
            **request,
            "TransformOutput": self._keyed(request["TransformOutput"]),
            "TransformResources": self._disk(request["TransformResources"]),
        }


def _uses_of(kms_key_arn: str) -> list[Request]:
    """Allow use of the key. Only SageMaker may ask for grants: with one, a script could give the key away."""
    actions = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"]
    return [
        {"Effect": "Allow", "Action": actions, "Resource": kms_key_arn},
        {
            "Effect": "Allow",
            "Action": ["kms:CreateGrant"],
            "Resource": kms_key_arn,
            "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
        },
    ]


def _with_code_channel(request: Request) -> Request:
    """Give script mode its archive as a channel, where SageMaker's SDK puts it too: there is no network."""
    uri = json.loads(request["HyperParameters"][_SUBMIT])
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    channel = {"ChannelName": CODE_CHANNEL, "DataSource": {"S3DataSource": source}, "InputMode": "File"}
    archive = f"{_CODE_FOLDER}/{uri.rpartition('/')[2]}"
    return {
        **request,
        "HyperParameters": {**request["HyperParameters"], _SUBMIT: json.dumps(archive)},
        "InputDataConfig": [*request["InputDataConfig"], channel],
    }


def parse_tags(text: str) -> dict[str, str]:
    """Parse tags written as `key=value`, separated by commas, which no tag may contain."""
    pairs = (each.partition("=") for each in text.split(",") if each)
    return {key: value for key, _, value in pairs}
