"""Provision what a template declares.

Ministack silently drops some properties, and overwrites or deletes what CloudFormation would refuse to touch.
Each hook here runs after ministack's own handler of its resource type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import cloudwatch_logs, s3
from ministack.services import lambda_svc as service
from ministack.services.cloudformation import handlers as requests
from ministack.services.cloudformation import provisioners

from sluice_local.patches.cloudformation import buckets, properties, types
from sluice_local.settings import Settings

Properties = dict[str, Any]
# (physical id, properties, the properties before the update or {}): raises ValueError with the reason.
Apply = Callable[[str, Properties, Properties], None]

_APPLIED: dict[str, Apply] = {
    "AWS::Lambda::Function": properties.apply_function,
    "AWS::Lambda::EventSourceMapping": properties.apply_event_source_mapping,
    "AWS::S3::Bucket": buckets.apply_bucket,
    "AWS::DynamoDB::Table": properties.apply_table,
    "AWS::Events::Rule": properties.apply_rule,
    "AWS::SNS::Topic": properties.apply_topic,
    "AWS::StepFunctions::StateMachine": properties.apply_state_machine,
}


def install(settings: Settings) -> None:
    """Ask for capabilities, complete the handlers that ministack has, and add those it lacks."""
    requests._capabilities_enforced = lambda: True  # ministack asks for them under AUTH only
    handlers = provisioners._RESOURCE_HANDLERS
    for kind, apply in _APPLIED.items():
        _complete(handlers[kind], apply)
    handlers.setdefault("AWS::Events::Archive", types.ARCHIVE)
    handlers.setdefault("AWS::CloudWatch::CompositeAlarm", types.COMPOSITE_ALARM)
    definition = provisioners._sfn_definition
    provisioners._sfn_definition = lambda props: properties.json_definition(definition(props))
    _before(handlers["AWS::Logs::LogGroup"], "create", _refuse_existing_log_group)
    _before(handlers["AWS::S3::Bucket"], "delete", _refuse_full_bucket)
    _before(handlers["AWS::Lambda::Function"], "delete", lambda name, *_: service.invalidate_worker(name))


def _complete(handler: dict[str, Any], apply: Apply) -> None:
    create, update, delete = handler["create"], handler["update"], handler["delete"]

    def created(logical_id: str, props: Properties, stack: str) -> tuple[str, Properties]:
        physical_id, attributes = create(logical_id, props, stack)
        try:
            apply(physical_id, props, {})
        except ValueError:
            delete(physical_id, props)  # the stack does not know its id, so it could not roll it back
            raise
        return physical_id, attributes

    def updated(physical_id: str, old: Properties, new: Properties, *context: Any) -> tuple[str, Properties]:
        new_id, attributes = update(physical_id, old, new, *context)
        apply(new_id, new, old if new_id == physical_id else {})
        return new_id, attributes

    handler["create"], handler["update"] = created, updated


def _before(handler: dict[str, Any], operation: str, check: Callable[..., None]) -> None:
    original = handler[operation]

    def checked(*args: Any) -> Any:
        check(*args)
        return original(*args)

    handler[operation] = checked


def _refuse_existing_log_group(logical_id: str, props: Properties, stack: str) -> None:
    """Refuse an existing group, as CloudFormation does; ministack would empty it."""
    name = props.get("LogGroupName")
    if name in cloudwatch_logs._log_groups:
        raise ValueError(f"Resource of type 'AWS::Logs::LogGroup' with identifier '{name}' already exists.")


def _refuse_full_bucket(name: str, *_: Any) -> None:
    """Refuse to delete a bucket with objects or versions, as CloudFormation does; ministack deletes them."""
    bucket = s3._buckets.get(name)
    if bucket and (bucket["objects"] or s3._bucket_has_versions(name)):
        raise ValueError(
            "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
        )
