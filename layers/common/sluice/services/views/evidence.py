"""Gather the evidence of a registered version as the files of a folder that a reviewer reads.

It costs reads by the history of the pipeline's deployments, as it says what served when. Nothing is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.builds import Project, Run
from sluice.catalog.records.releases import Deployment, Package
from sluice.domain import canonical, config
from sluice.domain.build import open_lineage, projects, sbom
from sluice.domain.build.projects import ProjectError
from sluice.domain.locations import Locations
from sluice.domain.release import model_card, statements
from sluice.domain.release.model_card import Known
from sluice.domain.release.statements import MANIFEST, Missing, Statement
from sluice.lazy import dataclass
from sluice.ports import Cloud
from sluice.services import building
from sluice.services.release import signing
from sluice.services.views import gates, lineage, models, served

_CATALOG = "the catalog"
_README = "README.md"


@dataclass(frozen=True, slots=True)
class Folder:
    """The files of the folder by name, statements.json included, and what it lacks."""

    files: Mapping[str, bytes]
    stated: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Version:
    """A version with all that its evidence is made from."""

    cloud: Cloud
    package: Package
    run: Run
    stored: bytes
    project: Project | None
    deployments: list[Deployment]

    @property
    def pipeline(self) -> str:
        return str(self.package.pipeline)

    @property
    def manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.stored)
        return found

    @property
    def locations(self) -> Locations:
        return building.locations(self.cloud, self.pipeline)

    @property
    def known(self) -> Known:
        return Known(
            manifest=self.manifest,
            model=str(models.model_name(self.cloud, self.pipeline, self.package.arn)),
            arn=self.package.arn,
            version=self.package.version,
            image_digest=self.run.image_digest,
            config=config.restore(self.project.config) if self.project else None,
        )


def gather(cloud: Cloud, arn: str) -> Folder:
    """Return the evidence of a version; raises MissingError if no run of the stack registered it."""
    package, run, stored = lineage.find_manifest(cloud, arn)
    pipeline = str(package.pipeline)
    item = cloud.catalog.get(keys.project_key(pipeline, run.project_version))
    project = Project.of(item) if item else None
    version = _Version(cloud, package, run, stored, project, served.deployments(cloud, package))
    found = [make(version) for make in _MAKERS]
    made = [each for each in found if isinstance(each, Statement)]
    missing = [each for each in found if isinstance(each, Missing)]
    about = _about(version)
    made.insert(0, _page(about, made, missing))
    stated = statements.document(about, made, missing)
    files = {each.file: each.content for each in made}
    return Folder({**files, statements.FILE: _json(stated)}, stated)


def _about(version: _Version) -> dict[str, Any]:
    return {
        "model": version.known.model,
        "model_package_arn": version.package.arn,
        "pipeline": version.pipeline,
        "run_id": version.run.run_id,
        "manifest_sha256": version.run.manifest_sha256,
        "model_sha256": version.package.model_sha256,
        "made_at": version.cloud.now(),
        "stack": version.cloud.stack_name,
    }


def _page(about: Mapping[str, Any], made: list[Statement], missing: list[Missing]) -> Statement:
    """Return the page that a reviewer opens first."""
    from sluice.quality.report import evidence_page

    stated = statements.document(about, made, missing)
    by_name = {each.file: each.content for each in made}
    page = evidence_page.render(
        stated,
        card=json.loads(by_name["model-card.json"]),
        approvals=json.loads(by_name["approvals.json"]),
        served=json.loads(by_name["releases.json"]),
    )
    return Statement("index.html", "this page", "the files beside it", page.encode())


def _card(version: _Version) -> Statement:
    card = model_card.document(version.known)
    says = "the model card: what is on record, and its gaps"
    return Statement("model-card.json", says, f"{MANIFEST} and the project", _json(card))


def _readme(version: _Version) -> Statement | Missing:
    says = "what the project's author says of it"
    uri = version.manifest["inputs"]["bundle_uri"]
    try:
        found = projects.unpack(version.cloud.objects.read(uri)).get(_README)
    except (FileNotFoundError, ProjectError) as error:
        return Missing("project-readme.md", says, f"the pushed project cannot be read: {error}")
    if found is None:
        return Missing("project-readme.md", says, "the project has no README.md")
    return Statement("project-readme.md", says, uri, found)


def _manifest(version: _Version) -> Statement:
    says = "the run manifest: what the model was made of; its sha256 is what is approved"
    return Statement(MANIFEST, says, str(version.run.manifest_uri), version.stored)


def _signature(version: _Version) -> Statement | Missing:
    says = "a signature of the model, its code and its run manifest, as OpenSSF Model Signing has it"
    found = signing.find(version.cloud, version.pipeline, version.run.run_id)
    if found is None:
        return Missing("model.sig", says, "nobody has signed it")
    return Statement("model.sig", says, version.locations.signature(version.run.run_id), found)


def _data_report(name: str, says: str) -> Callable[[_Version], Statement | Missing]:
    def read(version: _Version) -> Statement | Missing:
        dataset = version.manifest["inputs"]["dataset_version"]
        uri = version.locations.dataset_document(dataset, name)
        try:
            return Statement(f"data-{name}", says, uri, version.cloud.objects.read(uri))
        except FileNotFoundError:
            return Missing(f"data-{name}", says, f"the data set has none: {uri}")

    return read


def _gates(version: _Version) -> Statement | Missing:
    says = "how each gate was judged, as data"
    found = gates.document(version.cloud, version.pipeline, version.run.run_id)
    if found is None:
        return Missing("gates.json", says, "it is gone, and so is the step's record")
    return Statement("gates.json", says, version.locations.gates(version.run.run_id), _json(found))


def _gates_page(version: _Version) -> Statement | Missing:
    from sluice.quality.report import gates_page

    says = "how each gate was judged"
    found = gates.document(version.cloud, version.pipeline, version.run.run_id)
    if found is None:
        return Missing("gates.html", says, "there is no gates.json")
    return Statement("gates.html", says, "gates.json", gates_page.render(found).encode())


def _approvals(version: _Version) -> Statement:
    found = served.decisions(version.cloud, version.package, version.run.manifest_sha256)
    found["pushed_by"] = [*version.project.pushed_by] if version.project else None
    says = "who decided, when, why, and about which run manifest"
    return Statement("approvals.json", says, _CATALOG, _json(found))


def _releases(version: _Version) -> Statement:
    found = served.releases(version.cloud, version.package, version.deployments)
    says = "its releases and rollbacks, and what it served when"
    return Statement("releases.json", says, _CATALOG, _json(found))


def _monitoring(version: _Version) -> Statement | Missing:
    says = "what was seen while it served: windows of requests, and of labels"
    if windows := served.windows(version.cloud, version.deployments):
        return Statement("monitoring.json", says, _CATALOG, _json({"windows": windows}))
    has_served = any(each.promoted_at for each in version.deployments)
    why = "no window has been judged while it served" if has_served else "it has never served"
    return Missing("monitoring.json", says, why)


def _lineage(version: _Version) -> Statement:
    events = open_lineage.events(version.manifest, version.cloud.stack_name)
    lines = b"".join(canonical.to_json(event) + b"\n" for event in events)
    return Statement("lineage.jsonl", "its lineage as OpenLineage run events, one a line", MANIFEST, lines)


def _bill(version: _Version) -> Statement:
    found = sbom.document(version.manifest, str(version.run.manifest_sha256))
    return Statement("sbom.cdx.json", "its packages as a CycloneDX 1.6 bill", MANIFEST, _json(found))


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2, sort_keys=True, default=str).encode() + b"\n"


# In the order in which a reviewer reads them.
_MAKERS: tuple[Callable[[_Version], Statement | Missing], ...] = (
    _card,
    _readme,
    _manifest,
    _signature,
    _data_report("report.html", "what was checked of the training data"),
    _data_report("report.json", "what was checked of the training data, as data"),
    _gates_page,
    _gates,
    _approvals,
    _releases,
    _monitoring,
    _lineage,
    _bill,
)
