"""What holds for all of the local SageMaker: its protocol, models, tags, search, and who may do what."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.registry import IMAGE, Registry, refused
from sluice_local.cloud import LocalCloud

ROLE = "arn:aws:iam::000000000000:role/hosting"
UNCHECKED = Config(parameter_validation=False)


@pytest.fixture
def registry(cloud: LocalCloud, unique: Callable[[str], str]) -> Registry:
    return Registry(cloud, unique)


def post(cloud: LocalCloud, operation: str, body: bytes) -> tuple[int, Message, dict[str, Any]]:
    """A request as it goes over the wire."""
    request = urllib.request.Request(
        cloud.endpoint_url,
        body,
        {
            "X-Amz-Target": f"SageMaker.{operation}",
            "Content-Type": "application/x-amz-json-1.1",
            "Authorization": "AWS4-HMAC-SHA256 Credential=test/20261124/us-east-1/sagemaker/aws4_request",
        },
    )
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.headers, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, json.load(error)


def test_answers_are_aws_json_with_epoch_times_and_a_request_id(registry: Registry) -> None:
    body = json.dumps({"ModelPackageGroupName": registry.group}).encode()
    status, headers, answer = post(registry.cloud, "DescribeModelPackageGroup", body)
    assert status == 200
    assert headers["Content-Type"] == "application/x-amz-json-1.1"
    assert headers["x-amzn-RequestId"]
    described = registry.sagemaker.describe_model_package_group(ModelPackageGroupName=registry.group)
    assert answer["CreationTime"] == described["CreationTime"].timestamp()


def test_errors_are_aws_json_with_their_type(cloud: LocalCloud) -> None:
    status, headers, answer = post(cloud, "DescribeModel", b'{"ModelName": "nowhere"}')
    assert (status, headers["Content-Type"]) == (400, "application/x-amz-json-1.1")
    assert answer == {
        "__type": "ValidationException",
        "message": f'Could not find model "arn:aws:sagemaker:{cloud.region}:{cloud.account}:model/nowhere".',
    }


def test_a_request_that_breaks_the_apis_constraints_is_refused(cloud: LocalCloud) -> None:
    sagemaker = cloud.client("sagemaker", config=UNCHECKED)
    with refused(
        "ValidationException",
        "2 validation errors detected: Value 'a_b' at 'modelPackageGroupName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: ",
    ):
        sagemaker.create_model_package_group(ModelPackageGroupName="a_b", Tags=[{"Key": "no value"}])


def test_a_request_that_is_not_json_cannot_be_read(cloud: LocalCloud) -> None:
    status, _, answer = post(cloud, "ListModels", b"{")
    assert (status, answer["__type"]) == (400, "SerializationException")


def test_what_sagemaker_does_not_have_is_unknown(cloud: LocalCloud) -> None:
    status, _, answer = post(cloud, "CreateMagic", b"{}")
    assert (status, answer["__type"]) == (400, "UnknownOperationException")


def test_what_the_local_sagemaker_does_not_have_says_so(cloud: LocalCloud) -> None:
    with refused("NotImplementedException", "does not implement ListDomains", status=501):
        cloud.client("sagemaker").list_domains()
    # Whatever is asked of it: the patterns of what is not there may take a value's length for ever.
    with refused("NotImplementedException", "does not implement DescribeDomain", status=501):
        cloud.client("sagemaker", config=UNCHECKED).describe_domain()


def test_regions_do_not_see_each_others_resources(registry: Registry) -> None:
    elsewhere = registry.cloud.client("sagemaker", region_name="eu-west-1")
    with refused("ValidationException", "arn:aws:sagemaker:eu-west-1:"):
        elsewhere.describe_model_package_group(ModelPackageGroupName=registry.group)


def container(registry: Registry, **members: Any) -> dict[str, Any]:
    return {"Image": IMAGE, "ModelDataUrl": registry.put("model.tar.gz"), **members}


def create_model(registry: Registry, **request: Any) -> str:
    name = registry.unique("model")
    registry.sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, **request)
    return name


def test_a_model_is_described_as_it_was_made(registry: Registry) -> None:
    given = container(registry, Environment={"A": "1"})
    name = create_model(registry, PrimaryContainer=given)
    model = registry.sagemaker.describe_model(ModelName=name)
    assert model["ModelArn"] == registry.arn("model", name)
    assert model["PrimaryContainer"] == {**given, "Mode": "SingleModel"}
    assert model["ExecutionRoleArn"] == ROLE
    assert model["EnableNetworkIsolation"] is False


def test_an_event_tells_of_a_new_model(registry: Registry) -> None:
    queue = registry.watch(**{"detail-type": ["SageMaker Model State Change"]})
    name = create_model(registry, PrimaryContainer=container(registry), Tags=[{"Key": "a", "Value": "b"}])
    found = [event for event in registry.events(queue, 1) if event["detail"]["ModelName"] == name]
    (event,) = found
    assert event["resources"] == [event["detail"]["ModelArn"]] == [registry.arn("model", name)]
    assert event["detail"]["Tags"] == {"a": "b"}
    assert event["detail"]["PrimaryContainer"]["Image"] == IMAGE


def test_a_models_name_is_taken_until_it_is_deleted(registry: Registry) -> None:
    name = create_model(registry, PrimaryContainer=container(registry))
    request = {"ModelName": name, "ExecutionRoleArn": ROLE, "PrimaryContainer": container(registry)}
    arn = registry.arn("model", name)
    with refused("ValidationException", f'Cannot create already existing model "{arn}".'):
        registry.sagemaker.create_model(**request)
    registry.sagemaker.delete_model(ModelName=name)
    with refused("ValidationException", f'Could not find model "{arn}".'):
        registry.sagemaker.delete_model(ModelName=name)
    registry.sagemaker.create_model(**request)


def test_models_are_listed_newest_first(registry: Registry) -> None:
    names = [create_model(registry, PrimaryContainer=container(registry)) for _ in range(3)]
    listed = registry.sagemaker.list_models(MaxResults=100)["Models"]
    assert [model["ModelName"] for model in listed if model["ModelName"] in names] == names[::-1]


def test_a_model_needs_model_data_that_is_there(registry: Registry) -> None:
    url = f"s3://{registry.bucket}/gone.tar.gz"
    with refused("ValidationException", f"Could not find model data at {url}."):
        create_model(registry, PrimaryContainer=container(registry, ModelDataUrl=url))


@pytest.mark.parametrize(
    "given", [{}, {"PrimaryContainer": {"Image": IMAGE}, "Containers": [{"Image": IMAGE}]}]
)
def test_a_model_has_one_container_or_several(registry: Registry, given: dict[str, Any]) -> None:
    with refused("ValidationException", "Exactly one of PrimaryContainer and Containers"):
        create_model(registry, **given)


def test_a_model_needs_a_role_and_containers_an_image(registry: Registry) -> None:
    with refused("ValidationException", "ExecutionRoleArn"):
        registry.sagemaker.create_model(ModelName="m", PrimaryContainer=container(registry))
    with refused("ValidationException", "Image or a ModelPackageName"):
        create_model(registry, PrimaryContainer={"Environment": {}})


def test_a_model_can_be_made_of_an_approved_version_only(registry: Registry) -> None:
    arn = registry.package(InferenceSpecification=registry.specification(registry.put("model.tar.gz")))
    with refused("ValidationException", "approval status is PendingManualApproval"):
        create_model(registry, PrimaryContainer={"ModelPackageName": arn})
    registry.update(arn, ModelApprovalStatus="Approved")
    name = create_model(registry, PrimaryContainer={"ModelPackageName": arn})
    described = registry.sagemaker.describe_model(ModelName=name)["PrimaryContainer"]
    assert described == {"ModelPackageName": arn, "Mode": "SingleModel"}
    with refused("ValidationException", "/9 does not exist"):
        create_model(registry, PrimaryContainer={"ModelPackageName": f"{registry.group}/9"})


def test_tags_are_added_replaced_listed_and_removed(registry: Registry) -> None:
    name = create_model(registry, PrimaryContainer=container(registry), Tags=[{"Key": "a", "Value": "1"}])
    arn = registry.arn("model", name)
    added = [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}]
    assert registry.sagemaker.add_tags(ResourceArn=arn, Tags=added)["Tags"] == added
    assert registry.sagemaker.list_tags(ResourceArn=arn)["Tags"] == added
    registry.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["a", "z"])
    assert registry.sagemaker.list_tags(ResourceArn=arn)["Tags"] == added[1:]


def test_tags_are_refused_where_they_cannot_be(registry: Registry) -> None:
    arn = registry.arn("model-package-group", registry.group)
    tag = {"Key": "a", "Value": "b"}
    with refused("ValidationException", "Could not find model"):
        registry.sagemaker.add_tags(ResourceArn=registry.arn("model", "nowhere"), Tags=[tag])
    with refused("ValidationException", "cannot be tagged"):
        registry.sagemaker.list_tags(ResourceArn=registry.arn("moon", "m"))
    with refused("ValidationException", "reserved"):
        registry.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "aws:a", "Value": "b"}])
    for start in (0, 25):
        tags = [{"Key": f"k{number}", "Value": "v"} for number in range(start, start + 25)]
        registry.sagemaker.add_tags(ResourceArn=arn, Tags=tags)
    with refused("ResourceLimitExceeded", "at most 50 tags"):
        registry.sagemaker.add_tags(ResourceArn=arn, Tags=[tag])


def found(registry: Registry, *filters: tuple[str, ...], operator: str = "And") -> list[int]:
    """The group's versions that pass filters, each a name, an operator and perhaps a value."""
    conditions = [dict(zip(("Name", "Operator", "Value"), given, strict=False)) for given in filters]
    answer = registry.sagemaker.search(
        Resource="ModelPackage",
        SearchExpression={
            "Filters": [{"Name": "ModelPackageGroupName", "Operator": "Equals", "Value": registry.group}],
            "SubExpressions": [{"Filters": conditions, "Operator": operator}],
        },
        SortBy="CreationTime",
        SortOrder="Ascending",
    )
    return [result["ModelPackage"]["ModelPackageVersion"] for result in answer["Results"]]


def test_the_registry_can_be_searched(registry: Registry) -> None:
    for number in (1, 2, 3):
        registry.package(CustomerMetadataProperties={"number": str(number)}, ModelPackageDescription="Weekly")
    registry.update(registry.arn("model-package", f"{registry.group}/2"), ModelApprovalStatus="Approved")
    assert found(registry, ("ModelApprovalStatus", "Equals", "Approved")) == [2]
    assert found(registry, ("ModelApprovalStatus", "NotEquals", "Approved")) == [1, 3]
    assert found(registry, ("CustomerMetadataProperties.number", "In", "1,3")) == [1, 3]
    assert found(registry, ("ModelPackageDescription", "Contains", "weekly")) == [1, 2, 3]
    assert found(registry, ("LastModifiedBy.IamIdentity.Arn", "Exists")) == [2]
    assert found(registry, ("LastModifiedBy", "NotExists")) == [1, 3]
    either = [("ModelPackageVersion", "Equals", "1"), ("ModelApprovalStatus", "Equals", "Approved")]
    assert found(registry, *either) == []
    assert found(registry, *either, operator="Or") == [1, 2]
    assert found(registry, ("ModelPackageVersion", "GreaterThan", "1")) == [2, 3]
    with refused("NotImplementedException", "does not search for Image", status=501):
        registry.sagemaker.search(Resource="Image")


def test_groups_are_found_by_their_tags(registry: Registry) -> None:
    arn, team = registry.arn("model-package-group", registry.group), registry.unique("team")
    registry.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": team}])
    by_tag = {"Filters": [{"Name": "Tags.team", "Operator": "Equals", "Value": team}]}
    answer = registry.sagemaker.search(Resource="ModelPackageGroup", SearchExpression=by_tag)
    (result,) = answer["Results"]
    assert result["ModelPackageGroup"]["ModelPackageGroupArn"] == arn
    assert answer["TotalHits"] == {"Value": 1, "Relation": "EqualTo"}


Statement = dict[str, Any]


class Persona:
    """Someone with a role of an account that enforces IAM."""

    def __init__(self, registry: Registry, *statements: Statement) -> None:
        cloud = registry.cloud
        iam, self.role = cloud.client("iam"), registry.unique("role")
        root = {"AWS": f"arn:aws:iam::{cloud.account}:root"}
        trust = {"Effect": "Allow", "Principal": root, "Action": "sts:AssumeRole"}
        arn = iam.create_role(RoleName=self.role, AssumeRolePolicyDocument=_document(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName=self.role, PolicyName="p", PolicyDocument=_document(*statements))
        session = cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="ada")
        keys = session["Credentials"]
        self.arn = session["AssumedRoleUser"]["Arn"]
        self.principal_id = session["AssumedRoleUser"]["AssumedRoleId"]
        self._cloud = cloud
        self._keys = {
            "aws_access_key_id": keys["AccessKeyId"],
            "aws_secret_access_key": keys["SecretAccessKey"],
            "aws_session_token": keys["SessionToken"],
        }
        self.sagemaker = self.client("sagemaker")

    def client(self, service: str) -> Any:
        return self._cloud.client(service, **self._keys)

    def denial(self, action: str, resource: str) -> str:
        return (
            f"User: {self.arn} is not authorized to perform: {action} on resource: {resource} "
            f"because no identity-based policy allows the {action} action"
        )


def _document(*statements: Statement) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions: str | list[str], resource: str | list[str], **condition: Any) -> Statement:
    statement: Statement = {"Effect": "Allow", "Action": actions, "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})


@pytest.fixture
def guarded(auth_cloud: LocalCloud, unique: Callable[[str], str]) -> Registry:
    return Registry(auth_cloud, unique)


def test_a_stranger_is_turned_away(guarded: Registry) -> None:
    stranger = guarded.cloud.client("sagemaker", aws_access_key_id="AKIASTRANGER00000000")
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        stranger.list_models()


def test_who_has_no_permission_is_told_the_action_and_the_resource(guarded: Registry) -> None:
    persona = Persona(guarded, allow("sagemaker:DescribeModel", "*"))
    group = guarded.arn("model-package-group", guarded.group)
    versions = guarded.arn("model-package", f"{guarded.group}/*")
    version = guarded.package()
    attempts: list[tuple[Callable[[], Any], str, str]] = [
        (lambda: persona.sagemaker.list_models(), "ListModels", "*"),
        (
            lambda: persona.sagemaker.describe_model_package_group(ModelPackageGroupName=guarded.group),
            "DescribeModelPackageGroup",
            group,
        ),
        (
            lambda: persona.sagemaker.create_model_package(ModelPackageGroupName=guarded.group),
            "CreateModelPackage",
            versions,
        ),
        (
            lambda: persona.sagemaker.list_model_packages(ModelPackageGroupName=group),
            "ListModelPackages",
            versions,
        ),
        (
            lambda: persona.sagemaker.describe_model_package(ModelPackageName=f"{guarded.group}/1"),
            "DescribeModelPackage",
            version,
        ),
        (
            lambda: persona.sagemaker.update_model_package(ModelPackageArn=version),
            "UpdateModelPackage",
            version,
        ),
        (
            lambda: persona.sagemaker.batch_describe_model_package(ModelPackageArnList=[version]),
            "BatchDescribeModelPackage",
            version,
        ),
        (lambda: persona.sagemaker.list_tags(ResourceArn=group), "ListTags", group),
        (
            lambda: persona.sagemaker.describe_endpoint(EndpointName="e"),
            "DescribeEndpoint",
            guarded.arn("endpoint", "e"),
        ),
        (
            lambda: persona.sagemaker.describe_training_job(TrainingJobName="j"),
            "DescribeTrainingJob",
            guarded.arn("training-job", "j"),
        ),
    ]
    for attempt, operation, resource in attempts:
        with refused("AccessDeniedException", persona.denial(f"sagemaker:{operation}", resource)):
            attempt()
    endpoint = guarded.arn("endpoint", "e")
    with refused("AccessDeniedException", persona.denial("sagemaker:InvokeEndpoint", endpoint), status=403):
        persona.client("sagemaker-runtime").invoke_endpoint(EndpointName="e", Body=b"")


def test_whoever_registers_may_be_kept_from_approving(guarded: Registry) -> None:
    versions = guarded.arn("model-package", f"{guarded.group}/*")
    pending = {"sagemaker:ModelApprovalStatus": "PendingManualApproval"}
    trainer = Persona(
        guarded,
        allow(
            ["sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage"], versions, StringEquals=pending
        ),
        allow("sagemaker:DescribeModelPackage", versions),
    )
    approver = Persona(guarded, allow("sagemaker:UpdateModelPackage", versions))
    request = {"ModelPackageGroupName": guarded.group, "InferenceSpecification": guarded.specification()}
    with refused("AccessDeniedException", trainer.denial("sagemaker:CreateModelPackage", versions)):
        trainer.sagemaker.create_model_package(ModelApprovalStatus="Approved", **request)
    arn = trainer.sagemaker.create_model_package(ModelApprovalStatus="PendingManualApproval", **request)[
        "ModelPackageArn"
    ]
    with refused("AccessDeniedException", trainer.denial("sagemaker:UpdateModelPackage", arn)):
        trainer.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    approver.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    package = trainer.sagemaker.describe_model_package(ModelPackageName=arn)
    identities = [
        {"Arn": persona.arn, "PrincipalId": persona.principal_id} for persona in (trainer, approver)
    ]
    assert [package[by]["IamIdentity"] for by in ("CreatedBy", "LastModifiedBy")] == identities


def test_metadata_and_life_cycle_can_be_conditions(guarded: Registry) -> None:
    arn = guarded.package()
    condition = {
        "sagemaker:CustomerMetadataProperties/released": "yes",
        "sagemaker:ModelLifeCycle:Stage": "Staging",
    }
    persona = Persona(guarded, allow("sagemaker:UpdateModelPackage", arn, StringEqualsIfExists=condition))
    stages = {"Stage": "Staging", "StageStatus": "Approved"}
    persona.sagemaker.update_model_package(
        ModelPackageArn=arn, ModelLifeCycle=stages, CustomerMetadataProperties={"released": "yes"}
    )
    refusals: list[dict[str, Any]] = [
        {"CustomerMetadataProperties": {"released": "no"}},
        {"ModelLifeCycle": stages | {"Stage": "Production"}},
    ]
    for changes in refusals:
        with refused("AccessDeniedException", "sagemaker:UpdateModelPackage"):
            persona.sagemaker.update_model_package(ModelPackageArn=arn, **changes)


def trusting_sagemaker(guarded: Registry) -> str:
    """A role that SageMaker may assume; its ARN."""
    principal = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}}
    trust = {"Version": "2012-10-17", "Statement": [{**principal, "Action": "sts:AssumeRole"}]}
    made = guarded.cloud.client("iam").create_role(
        RoleName=guarded.unique("hosting"), AssumeRolePolicyDocument=json.dumps(trust)
    )
    return str(made["Role"]["Arn"])


def test_whoever_makes_a_model_must_be_allowed_to_pass_its_role_and_to_tag_it(guarded: Registry) -> None:
    name, passed_on = guarded.unique("model"), {"iam:PassedToService": "sagemaker.amazonaws.com"}
    arn, role = guarded.arn("model", name), trusting_sagemaker(guarded)
    request: dict[str, Any] = {
        "ModelName": name,
        "ExecutionRoleArn": role,
        "PrimaryContainer": container(guarded),
        "Tags": [{"Key": "team", "Value": "growth"}],
    }
    create = allow("sagemaker:CreateModel", arn)
    tag = allow("sagemaker:AddTags", arn)
    pass_role = allow("iam:PassRole", role, StringEquals=passed_on)
    without_tag = Persona(guarded, create, pass_role)
    with refused("AccessDeniedException", without_tag.denial("sagemaker:AddTags", arn)):
        without_tag.sagemaker.create_model(**request)
    without_role = Persona(guarded, create, tag)
    with refused("AccessDeniedException", without_role.denial("iam:PassRole", role)):
        without_role.sagemaker.create_model(**request)
    Persona(guarded, create, tag, pass_role).sagemaker.create_model(**request)


def test_an_endpoint_is_changed_by_who_may_use_its_config(guarded: Registry) -> None:
    endpoint, config = guarded.arn("endpoint", "e"), guarded.arn("endpoint-config", "c")
    persona = Persona(guarded, allow(["sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint"], endpoint))
    for operation in ("CreateEndpoint", "UpdateEndpoint"):
        call = getattr(persona.sagemaker, f"{operation.removesuffix('Endpoint').lower()}_endpoint")
        with refused("AccessDeniedException", persona.denial(f"sagemaker:{operation}", config)):
            call(EndpointName="e", EndpointConfigName="c")


def test_a_transform_job_needs_permission_on_itself_alone(guarded: Registry) -> None:
    arn = guarded.arn("transform-job", "t")
    persona = Persona(guarded, allow("sagemaker:CreateTransformJob", arn))
    with refused("ValidationException", "Could not find model"):
        persona.sagemaker.create_transform_job(
            TransformJobName="t",
            ModelName="nowhere",
            TransformInput={"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/i"}}},
            TransformOutput={"S3OutputPath": "s3://b/o"},
            TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        )


def test_a_role_can_be_kept_to_what_carries_its_tag(guarded: Registry) -> None:
    """What it makes must have the tag, what it deletes too, and it tags nothing that is there already."""
    theirs = guarded.arn("model-package-group", guarded.group)
    ours = guarded.unique("group")
    tags = [{"Key": "sluice:stack", "Value": "ours"}]
    group = "model-package-group"
    on_request = {"aws:RequestTag/sluice:stack": "ours"}
    while_making = {**on_request, "sagemaker:TaggingAction": "CreateModelPackageGroup"}
    persona = Persona(
        guarded,
        allow("sagemaker:CreateModelPackageGroup", guarded.arn(group, "*"), StringEquals=on_request),
        allow("sagemaker:AddTags", guarded.arn(group, "*"), StringEquals=while_making),
        allow(
            "sagemaker:DeleteModelPackageGroup",
            guarded.arn(group, "*"),
            StringEquals={"aws:ResourceTag/sluice:stack": "ours"},
        ),
    )
    create, delete = (
        persona.sagemaker.create_model_package_group,
        persona.sagemaker.delete_model_package_group,
    )
    with refused("AccessDeniedException", "sagemaker:CreateModelPackageGroup"):
        create(ModelPackageGroupName=ours)
    with refused("AccessDeniedException", "sagemaker:CreateModelPackageGroup"):
        create(ModelPackageGroupName=ours, Tags=[{"Key": "sluice:stack", "Value": "theirs"}])
    create(ModelPackageGroupName=ours, Tags=tags)
    with refused("AccessDeniedException", persona.denial("sagemaker:AddTags", theirs)):
        persona.sagemaker.add_tags(ResourceArn=theirs, Tags=tags)
    with refused("AccessDeniedException", persona.denial("sagemaker:DeleteModelPackageGroup", theirs)):
        delete(ModelPackageGroupName=guarded.group)
    delete(ModelPackageGroupName=ours)


def test_an_explicit_denial_wins(guarded: Registry) -> None:
    denial = {"Effect": "Deny", "Action": "sagemaker:Delete*", "Resource": "*"}
    persona = Persona(guarded, allow("sagemaker:*", "*"), denial)
    with refused("AccessDeniedException", "with an explicit deny in an identity-based policy"):
        persona.sagemaker.delete_model_package_group(ModelPackageGroupName=guarded.group)
