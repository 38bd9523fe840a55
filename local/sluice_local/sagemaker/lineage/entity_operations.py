"""The operations on artifacts, actions and contexts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sluice_local.sagemaker.api.core import ApiError, Item, Scope, operation
from sluice_local.sagemaker.api.derived import DerivedTable
from sluice_local.sagemaker.api.iam import CALLER
from sluice_local.sagemaker.api.listing import created, list_page
from sluice_local.sagemaker.lineage import stored
from sluice_local.sagemaker.lineage.facts import artifact_id
from sluice_local.sagemaker.lineage.stored import ACTIONS, ARTIFACTS, CONTEXTS

Key = Callable[[Scope, dict[str, Any]], str]
_UPDATED = ("ArtifactName", "Description", "Status", "Properties")


def _artifact_key(scope: Scope, params: dict[str, Any]) -> str:
    if "ArtifactArn" in params:
        return ARTIFACTS.name(scope, params["ArtifactArn"])
    if "Source" not in params:
        raise ApiError("ValidationException", "ArtifactArn or Source must be given.")
    return artifact_id(params["Source"]["SourceUri"])


def _named(table: DerivedTable) -> Key:
    return lambda scope, params: table.name(scope, params[table.name_key]).lower()


def _register(table: DerivedTable, noun: str, key: Key) -> None:
    def create(scope: Scope, params: dict[str, Any]) -> Item:
        by = CALLER.get().context()
        # An artifact need not have a name.
        content = {table.name_key: None, **params, "CreatedBy": by, "LastModifiedBy": by}
        return table.create(scope, key(scope, params), content)

    def describe(scope: Scope, params: dict[str, Any]) -> Item:
        return table.get(scope, key(scope, params))

    def update(scope: Scope, params: dict[str, Any]) -> Item:
        def changed(item: Item) -> Item:
            removed = set(params.get("PropertiesToRemove", ()))
            whole = {**item.get("Properties", {}), **params.get("Properties", {})}
            asked = {name: params[name] for name in _UPDATED if name in params}
            properties = {name: value for name, value in whole.items() if name not in removed}
            return {**asked, "Properties": properties, "LastModifiedBy": CALLER.get().context()}

        return table.edit(scope, key(scope, params), changed)

    def delete(scope: Scope, params: dict[str, Any]) -> Item:
        item = table.get(scope, key(scope, params))
        arn = item[table.arn_key]
        if stored.associations(scope, source=arn) or stored.associations(scope, destination=arn):
            raise ApiError("ValidationException", f"{arn} has associations: delete them first.")
        return table.delete(scope, arn.partition("/")[2])

    def listed(scope: Scope, params: dict[str, Any]) -> Item:
        uri = params.get("SourceUri")
        found = stored.entities_of(scope, table, uri) if uri else stored.all_entities(scope, table)
        wanted = params.get(f"{noun}Type")
        return list_page(
            [item for item in found if wanted in (None, item[f"{noun}Type"])],
            created(params),
            result_key=f"{noun}Summaries",
            # Artifacts need no names, and are listed by their times alone.
            name_key=table.arn_key if table is ARTIFACTS else table.name_key,
            descending=True,
        )

    for verb, implementation in (
        ("Create", create),
        ("Describe", describe),
        ("Update", update),
        ("Delete", delete),
    ):
        operation(f"{verb}{noun}")(implementation)
    operation(f"List{noun}s")(listed)


_register(ARTIFACTS, "Artifact", _artifact_key)
_register(ACTIONS, "Action", _named(ACTIONS))
_register(CONTEXTS, "Context", _named(CONTEXTS))
