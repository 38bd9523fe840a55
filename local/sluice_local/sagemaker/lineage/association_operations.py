"""The operations on associations, and the query of what led to an entity and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sluice_local.sagemaker.api.core import ApiError, Item, Scope, operation
from sluice_local.sagemaker.api.iam import CALLER
from sluice_local.sagemaker.api.listing import created, list_page
from sluice_local.sagemaker.experiments.stored import component_of_job
from sluice_local.sagemaker.lineage import stored
from sluice_local.sagemaker.lineage.stored import ACTIONS, ARTIFACTS, ASSOCIATIONS, CONTEXTS, LINEAGE_TYPES

_DEPTH = 10


@operation("AddAssociation")
def add_association(scope: Scope, params: dict[str, Any]) -> Item:
    source, destination = params["SourceArn"], params["DestinationArn"]
    for arn in (source, destination):
        stored.entity(scope, arn)
    key = stored.association_key(source, destination)
    if any(each["AssociationName"] == key for each in stored.associations(scope, source=source)):
        raise ApiError(
            "ValidationException", f"An association of {source} with {destination} already exists."
        )
    ASSOCIATIONS.replace(scope, key, {"AssociationType": None, **params, "CreatedBy": CALLER.get().context()})
    return params


@operation("DeleteAssociation")
def delete_association(scope: Scope, params: dict[str, Any]) -> Item:
    source, destination = params["SourceArn"], params["DestinationArn"]
    key = stored.association_key(source, destination)
    if not any(each["AssociationName"] == key for each in stored.associations(scope, source=source)):
        raise ApiError("ResourceNotFound", f"{source} is not associated with {destination}.")
    # Those that follow from a job would come again.
    ends = {"SourceArn": source, "DestinationArn": destination}
    ASSOCIATIONS.replace(scope, key, {**ends, "_IsDeleted": True})
    return params


@operation("ListAssociations")
def list_associations(scope: Scope, params: dict[str, Any]) -> Item:
    ends = {"source": params.get("SourceArn"), "destination": params.get("DestinationArn")}
    found = [
        _summary(scope, each)
        for each in stored.associations(scope, **ends)
        if all(params.get(name, each[name]) == each[name] for name in _ENDS)
    ]
    matching = [each for each in found if all(params.get(name, each[name]) == each[name] for name in _TYPES)]
    return list_page(
        matching,
        created(params),
        result_key="AssociationSummaries",
        name_key="AssociationName",
        descending=True,
    )


_ENDS = ("SourceArn", "DestinationArn", "AssociationType")
_TYPES = ("SourceType", "DestinationType")


def _summary(scope: Scope, association: Item) -> Item:
    summary = {"AssociationType": None, **association}
    for end in ("Source", "Destination"):
        arn = association[f"{end}Arn"]
        summary[f"{end}Type"], summary[f"{end}Name"] = _introduced(scope, arn)
    return summary


def _introduced(scope: Scope, arn: str) -> tuple[str, str | None]:
    """Return the type and the name of an entity, as far as it is still there."""
    try:
        item = stored.entity(scope, arn)
    except ApiError:
        return "", None
    names = ("ArtifactName", "ActionName", "ContextName", "TrialComponentName")
    return stored.type_of(arn, item), next((item[name] for name in names if item.get(name)), None)


@operation("QueryLineage")
def query_lineage(scope: Scope, params: dict[str, Any]) -> Item:
    starts = [arn for given in params.get("StartArns", ()) for arn in _entities(scope, given)]
    reached, edges = _walk(scope, starts, params.get("Direction", "Both"), params.get("MaxDepth", _DEPTH))
    filters = params.get("Filters", {})
    vertices = [vertex for arn in reached if (vertex := _vertex(scope, arn, filters))]
    kept = {vertex["Arn"] for vertex in vertices}
    within = [each for each in edges if {each["SourceArn"], each["DestinationArn"]} <= kept]
    return {"Vertices": vertices, "Edges": within if params.get("IncludeEdges", True) else []}


def _entities(scope: Scope, arn: str) -> list[str]:
    """Return the entity with an ARN, or those that stand for the resource that has it."""
    kind = arn.rpartition(":")[2].partition("/")[0]
    if kind in LINEAGE_TYPES:
        stored.entity(scope, arn)
        return [arn]
    found = [
        item[table.arn_key]
        for table in (ARTIFACTS, ACTIONS, CONTEXTS)
        for item in stored.entities_of(scope, table, arn)
    ]
    found += [item["TrialComponentArn"] for item in component_of_job(scope, arn)]
    if not found:
        raise ApiError("ResourceNotFound", f"There is no lineage entity of {arn}.")
    return found


def _walk(scope: Scope, starts: list[str], direction: str, depth: int) -> tuple[dict[str, None], list[Item]]:
    """Follow associations from the starts: upstream, downstream, or both ways, each on its own."""
    reached: dict[str, None] = dict.fromkeys(starts)
    edges: dict[str, Item] = {}
    ways = {"Ascendants": ["up"], "Descendants": ["down"]}.get(direction, ["up", "down"])
    for way in ways:
        here = dict.fromkeys(starts)
        seen = set(starts)
        for _ in range(depth):
            beyond = list(_beyond(scope, here, way))
            edges |= {edge["AssociationName"]: edge for _, edge in beyond}
            here = dict.fromkeys(arn for arn, _ in beyond if arn not in seen)
            seen |= here.keys()
            reached |= here
    return reached, list(edges.values())


def _beyond(scope: Scope, arns: dict[str, None], way: str) -> Iterator[tuple[str, Item]]:
    near, far = ("destination", "SourceArn") if way == "up" else ("source", "DestinationArn")
    for arn in arns:
        for association in stored.associations(scope, **{near: arn}):
            yield association[far], association


def _vertex(scope: Scope, arn: str, filters: Item) -> Item | None:
    kind = arn.rpartition(":")[2].partition("/")[0]
    try:
        item = stored.entity(scope, arn)
    except ApiError:  # deleted since
        return None
    vertex = {"Arn": arn, "Type": stored.type_of(arn, item), "LineageType": LINEAGE_TYPES.get(kind)}
    return vertex if _passes(vertex, item, filters) else None


def _passes(vertex: Item, item: Item, filters: Item) -> bool:
    if vertex["Type"] not in filters.get("Types", [vertex["Type"]]):
        return False
    if vertex["LineageType"] not in filters.get("LineageTypes", [vertex["LineageType"]]):
        return False
    for name, member in (("Created", "CreationTime"), ("Modified", "LastModifiedTime")):
        if (
            not filters.get(f"{name}After", item[member] - 1)
            < item[member]
            < filters.get(f"{name}Before", item[member] + 1)
        ):
            return False
    properties = item.get("Properties", {})
    return all(properties.get(name) == value for name, value in filters.get("Properties", {}).items())
