"""Make SageMaker's resources of a stack: a template's properties are the members of the API's requests."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services.cloudformation import provisioners

from sluice_local.patches.shapes import coerce
from sluice_local.sagemaker.api import iam
from sluice_local.sagemaker.api.core import OPERATIONS, ApiError, Item, Scope
from sluice_local.sagemaker.api.validation import operation_model, validated

Created = tuple[str, Item]

_POLL_S = 0.2
_LONGEST_NAME = 63


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of resource, `AWS::SageMaker::<name>`.

    Its name in the API and in templates is the property `<name>Name`.
    """

    name: str
    # Properties that an update changes; a change of any other replaces the resource.
    changeable: tuple[str, ...] = ()
    # Properties that have another name, or another form, in the API.
    renamed: Mapping[str, str] = field(default_factory=dict)
    # `Ref` is the name, not the ARN.
    is_by_name: bool = False

    @property
    def name_member(self) -> str:
        return f"{self.name}Name"

    @property
    def fixed(self) -> tuple[str, ...]:
        """The properties whose change replaces the resource."""
        members: Any = operation_model(f"Create{self.name}").input_shape
        return tuple({*members.members, *self.renamed} - {*self.changeable, "Tags"})

    def create(self, logical_id: str, props: Item, stack: str) -> Created:
        name = props.get(self.name_member) or provisioners._physical_name(
            stack, logical_id, max_len=_LONGEST_NAME
        )
        self._call("Create", {**self._members(props), self.name_member: name})
        return self._made(name)

    def update(self, physical_id: str, old: Item, new: Item, stack: str) -> Created:
        changed = {key: value for key, value in new.items() if key in self.changeable}
        name = physical_id.rpartition("/")[2]
        self._call("Update", {**self._members(changed), self.name_member: name})
        return self._made(name)

    def delete(self, physical_id: str, props: Item) -> None:
        self._call("Delete", {self.name_member: physical_id.rpartition("/")[2]})

    def _made(self, name: str) -> Created:
        described = self._call("Describe", {self.name_member: name})
        while described.get(f"{self.name}Status") in ("Creating", "Updating", "SystemUpdating"):
            time.sleep(_POLL_S)
            described = self._call("Describe", {self.name_member: name})
        if "FailureReason" in described:
            raise ValueError(described["FailureReason"])
        arn = described[f"{self.name}Arn"]
        return (name if self.is_by_name else arn), {self.name_member: name, f"{self.name}Arn": arn}

    def _members(self, props: Item) -> Item:
        members = {self.renamed.get(key, key): value for key, value in props.items()}
        if isinstance(definition := members.get("PipelineDefinition"), Mapping):
            members.pop("PipelineDefinition")
            members |= _definition(definition)
        return members

    def _call(self, verb: str, members: Item) -> Item:
        operation, scope = f"{verb}{self.name}", Scope(get_account_id(), get_region())
        shape: Any = operation_model(operation).input_shape
        token = iam.CALLER.set(iam.Caller(f"arn:aws:iam::{scope.account}:root", scope.account))
        try:
            params = validated(shape, coerce(_with_token(members, shape), shape))
            iam.require_trust(params)
            return OPERATIONS[operation](scope, params) or {}
        except ApiError as error:
            raise ValueError(error.message) from error
        finally:
            iam.CALLER.reset(token)


def _definition(definition: Mapping[str, Any]) -> Item:
    """Return a pipeline's definition as a request has it."""
    if place := definition.get("PipelineDefinitionS3Location"):
        named = {"Bucket": "Bucket", "Key": "ObjectKey", "Version": "VersionId"}
        return {"PipelineDefinitionS3Location": {named.get(key, key): value for key, value in place.items()}}
    body = definition["PipelineDefinitionBody"]
    return {"PipelineDefinition": body if isinstance(body, str) else json.dumps(body)}


def _with_token(members: Item, shape: Any) -> Item:
    """Return a request with the token that makes its repetition harmless, if it must have one."""
    if "ClientRequestToken" not in shape.required_members:
        return members
    return {"ClientRequestToken": provisioners.new_uuid(), **members}


_KINDS = (
    Kind("ModelPackageGroup", renamed={"Description": "ModelPackageGroupDescription"}),
    Kind("Model"),
    Kind("EndpointConfig"),
    Kind("Endpoint", changeable=("EndpointConfigName", "DeploymentConfig", "RetainAllVariantProperties")),
    Kind(
        "Pipeline",
        changeable=(
            "PipelineDisplayName",
            "PipelineDescription",
            "PipelineDefinition",
            "RoleArn",
            "ParallelismConfiguration",
        ),
        is_by_name=True,
    ),
)


def install() -> None:
    """Add the types to CloudFormation."""
    for kind in _KINDS:
        type_name = f"AWS::SageMaker::{kind.name}"
        handler: dict[str, Any] = {"create": kind.create, "delete": kind.delete}
        if kind.changeable:
            handler["update"] = kind.update
        provisioners._RESOURCE_HANDLERS.setdefault(type_name, handler)
        provisioners._REPLACING_PROPERTIES[type_name] = kind.fixed
