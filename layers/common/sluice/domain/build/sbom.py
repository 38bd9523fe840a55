"""List what a model was made and is served with as a CycloneDX 1.6 bill of materials, by its run manifest.

Nothing is filled in: an environment whose packages no job listed is marked `unknown`, in CycloneDX's own way,
so that nobody takes silence for an empty list.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

Component = dict[str, Any]
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:sluice:run-manifest")
_SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
_SEPARATORS = re.compile(r"[-_.]+")


def document(manifest: Mapping[str, Any], manifest_sha256: str) -> dict[str, Any]:
    """Return the bill: the model, the environments of its jobs, their packages, and what serves it."""
    environments = [_environment(number, each) for number, each in enumerate(_environments(manifest))]
    packages = {package["bom-ref"]: package for _, listed in environments for package in listed}
    serving = _serving(manifest)
    model = _model(manifest)
    containers = [*(container for container, _ in environments), serving]
    return {
        "$schema": _SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, manifest_sha256)}",
        "version": 1,
        "metadata": {"timestamp": manifest["created_at"], "component": model},
        "components": [*containers, *(packages[ref] for ref in sorted(packages))],
        "dependencies": [
            {"ref": model["bom-ref"], "dependsOn": [each["bom-ref"] for each in containers]},
            *(
                {"ref": container["bom-ref"], "dependsOn": sorted(each["bom-ref"] for each in listed)}
                for container, listed in environments
            ),
        ],
        "compositions": _compositions(environments, serving),
    }


def unlisted(manifest: Mapping[str, Any]) -> list[str]:
    """Name the steps whose packages no job listed."""
    return [step for each in _environments(manifest) if not each["packages"] for step in each["steps"]]


def _environments(manifest: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return manifest.get("environments") or []


def _model(manifest: Mapping[str, Any]) -> Component:
    found = {artifact["name"]: artifact for artifact in manifest["artifacts"]}
    return {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": manifest["pipeline"],
        "version": manifest["run_id"],
        "hashes": [{"alg": "SHA-256", "content": found["model"]["sha256"]}],
        "properties": _properties(uri=found["model"]["uri"]),
    }


def _environment(number: int, environment: Mapping[str, Any]) -> tuple[Component, list[Component]]:
    """Return an environment of jobs as a container, and its packages."""
    described = _container(f"environment:{number}", environment["image"])
    described["properties"] = _properties(
        steps=", ".join(environment["steps"]),
        python=environment["python"],
        digest=environment["environment"],
    )
    packages = environment["packages"] or {}
    return described, [_package(name, version) for name, version in packages.items()]


def _serving(manifest: Mapping[str, Any]) -> Component:
    described = _container("serving", manifest["serving"]["container"]["Image"])
    return {**described, "properties": _properties(steps="serves")}


def _container(ref: str, image: str) -> Component:
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    described = {"type": "container", "bom-ref": ref, "name": name}
    return {**described, "version": digest or tag} if digest or tag else described


def _package(name: str, version: str) -> Component:
    """Return a package of Python, named as its package URL has it."""
    normal = _SEPARATORS.sub("-", name).lower()
    purl = f"pkg:pypi/{normal}@{quote(version, safe='')}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _compositions(
    environments: Sequence[tuple[Component, list[Component]]], serving: Component
) -> list[dict[str, Any]]:
    """Say of which containers all packages of Python are listed: of no image what its system has."""
    listed = [container["bom-ref"] for container, packages in environments if packages]
    unknown = [container["bom-ref"] for container, packages in environments if not packages]
    said = [("incomplete", listed), ("unknown", [*unknown, serving["bom-ref"]])]
    return [{"aggregate": aggregate, "dependencies": refs} for aggregate, refs in said if refs]


def _properties(**said: str | None) -> list[dict[str, str]]:
    return [{"name": f"sluice:{name}", "value": value} for name, value in said.items() if value]
