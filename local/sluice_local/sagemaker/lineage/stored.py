"""Lineage entities and their associations: what users make of them, over what follows from what was done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sluice_local.sagemaker.api.core import TABLES, ApiError, Item, Scope, Table
from sluice_local.sagemaker.api.derived import DerivedTable
from sluice_local.sagemaker.api.index import Index
from sluice_local.sagemaker.experiments.stored import KINDS
from sluice_local.sagemaker.hosting.live_endpoints import ENDPOINTS
from sluice_local.sagemaker.jobs.lifecycle import JobKind
from sluice_local.sagemaker.lineage import facts
from sluice_local.sagemaker.lineage.facts import Entity, Link
from sluice_local.sagemaker.registry.groups import PACKAGES

Links = Callable[[Scope, Item], Iterable[Link]]

LINEAGE_TYPES = {
    facts.ARTIFACT: "Artifact",
    facts.ACTION: "Action",
    facts.CONTEXT: "Context",
    facts.COMPONENT: "TrialComponent",
}


# Links are looked up from one end: what has an image for an input may be many jobs, what makes it none.
_FROM, _TO = "from ", "to "


def _of_jobs(kind: JobKind) -> Links:
    return lambda scope, job: facts.of_job(scope, kind, job)


def _indexed(table: Table, links: Links) -> Index[Scope]:
    return table.index(
        lambda scope, item: {
            key
            for link in links(scope, item)
            for way, entity in ((_FROM, link.source), (_TO, link.destination))
            for key in (f"{way}{entity.kind}/{entity.name}", _stands_for(entity.kind, entity.source_uri))
        }
    )


def _stands_for(kind: str, uri: str) -> str:
    return f"{kind} of {uri}"


_SOURCES: list[tuple[Table, Links]] = [
    *((kind.table, _of_jobs(kind)) for kind in KINDS),
    (PACKAGES, facts.of_package),
    (ENDPOINTS, facts.of_endpoint),
]
_INDEXES = [(_indexed(table, links), links) for table, links in _SOURCES]


def _derived_links(scope: Scope, key: str, way: str) -> Iterator[Link]:
    """Yield the links from or to an entity, given as its ARN ends: `artifact/…`."""
    for index, links in _INDEXES:
        for item in index.find(scope, way + key):
            for link in links(scope, item):
                entity = link.source if way == _FROM else link.destination
                if f"{entity.kind}/{entity.name}" == key:
                    yield link


def all_derived_links(scope: Scope) -> Iterator[Link]:
    for table, links in _SOURCES:
        for item in table.values(scope):
            yield from links(scope, item)


def _derive(kind: str, noun: str) -> Callable[[Scope, str], Item | None]:
    def derived(scope: Scope, name: str) -> Item | None:
        oldest = [
            (link.since_s, entity)
            for way in (_FROM, _TO)
            for index, links in _INDEXES
            if (item := index.first(scope, f"{way}{kind}/{name}"))
            for link in links(scope, item)
            for entity in (link.source, link.destination)
            if (entity.kind, entity.name) == (kind, name)
        ]
        if not oldest:
            return None
        since_s, entity = min(oldest, key=lambda each: each[0])
        return _described(scope, noun, entity, since_s)

    return derived


def _described(scope: Scope, noun: str, entity: Entity, since_s: float) -> Item:
    source = {"SourceUri": entity.source_uri, "SourceTypes": []}
    if entity.source_type:
        source["SourceType"] = entity.source_type
    return {
        f"{noun}Name": entity.title or None,
        f"{noun}Arn": entity.arn(scope),
        f"{noun}Type": entity.type,
        "Source": source,
        "Status": "Completed",
        "Properties": dict(entity.properties),
        "CreationTime": since_s,
        "LastModifiedTime": since_s,
    }


ARTIFACTS = DerivedTable("Artifact", facts.ARTIFACT, "ArtifactName", _derive(facts.ARTIFACT, "Artifact"))
ACTIONS = DerivedTable("Action", facts.ACTION, "ActionName", _derive(facts.ACTION, "Action"))
CONTEXTS = DerivedTable("Context", facts.CONTEXT, "ContextName", _derive(facts.CONTEXT, "Context"))
ASSOCIATIONS = Table("Association", "association", "AssociationName")

_STORED_OF = {
    table.arn_kind: table.index(
        lambda _, item: [item["Source"]["SourceUri"]] if item.get("Source", {}).get("SourceUri") else []
    )
    for table in (ARTIFACTS, ACTIONS, CONTEXTS)
}
_ASSOCIATIONS_AT = ASSOCIATIONS.index(
    lambda _, item: [_FROM + item["SourceArn"], _TO + item["DestinationArn"]]
)


def entities_of(scope: Scope, table: Table, uri: str) -> list[Item]:
    """Return the entities of a kind that stand for a URI."""
    key = _stands_for(table.arn_kind, uri)
    names = {
        entity.name: None
        for index, links in _INDEXES
        for item in index.find(scope, key)
        for link in links(scope, item)
        for entity in (link.source, link.destination)
        if (entity.kind, entity.source_uri) == (table.arn_kind, uri)
    }
    names |= {_name(item, table): None for item in _STORED_OF[table.arn_kind].find(scope, uri)}
    return _in_order(scope, table, names)


def all_entities(scope: Scope, table: Table) -> list[Item]:
    """Return all entities of a kind, in order of creation."""
    names = {
        entity.name: None
        for link in all_derived_links(scope)
        for entity in (link.source, link.destination)
        if entity.kind == table.arn_kind
    }
    names |= {_name(item, table): None for item in table.values(scope) if table.arn_key in item}
    return _in_order(scope, table, names)


def _name(item: Item, table: Table) -> str:
    return str(item[table.arn_key]).partition("/")[2]


def _in_order(scope: Scope, table: Table, names: Iterable[str]) -> list[Item]:
    found = [item for name in names if (item := table.find(scope, name))]
    return sorted(found, key=lambda item: item["CreationTime"])


def entity(scope: Scope, arn: str) -> Item:
    """Return what an end of an association describes; raises ApiError if there is nothing."""
    kind = arn.rpartition(":")[2].partition("/")[0]
    if kind not in (*LINEAGE_TYPES, "experiment", "experiment-trial"):
        raise ApiError("ValidationException", f"{arn} is no lineage entity.")
    return TABLES[kind].get(scope, TABLES[kind].name(scope, arn))


def type_of(arn: str, item: Item) -> str:
    """Return the type of an entity: DataSet, Model, TrainingJob, ..."""
    kind = arn.rpartition(":")[2].partition("/")[0]
    if kind in (facts.ARTIFACT, facts.ACTION, facts.CONTEXT):
        return str(item[f"{LINEAGE_TYPES[kind]}Type"])
    return str(item.get("Source", {}).get("SourceType", "")).removeprefix("SageMaker")


def association_key(source: str, destination: str) -> str:
    """Return the key of the association of two ARNs."""
    return f"{source} {destination}"


def associations(scope: Scope, *, source: str | None = None, destination: str | None = None) -> list[Item]:
    """Return the associations from one entity, to another, or all, in order of creation."""
    if source is None and destination is None:
        links, kept = all_derived_links(scope), ASSOCIATIONS.values(scope)
    else:
        way, arn = (_FROM, source) if source else (_TO, str(destination))
        links = _derived_links(scope, str(arn).rpartition(":")[2], way)
        kept = _ASSOCIATIONS_AT.find(scope, f"{way}{arn}")
    found: dict[str, Item] = {}
    for link in links:
        item = _associated(scope, link)
        found.setdefault(item["AssociationName"], item)
    found |= {item["AssociationName"]: item for item in kept}
    left = [
        item
        for item in found.values()
        if not item.get("_IsDeleted") and destination in (None, item["DestinationArn"])
    ]
    return sorted(left, key=lambda item: item["CreationTime"])


def _associated(scope: Scope, link: Link) -> Item:
    source, destination = link.source.arn(scope), link.destination.arn(scope)
    return {
        "AssociationName": association_key(source, destination),
        "SourceArn": source,
        "DestinationArn": destination,
        "AssociationType": link.type,
        "CreationTime": link.since_s,
        "LastModifiedTime": link.since_s,
    }
