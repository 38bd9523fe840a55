"""Find the packages that jobs on Lambda run with, and have them built once."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sluice.catalog import keys
from sluice.catalog.changes import builds
from sluice.catalog.records.builds import Environment, Project
from sluice.domain import failures, locations
from sluice.domain.build import environments
from sluice.domain.build.environments import NoEnvironmentError, Wanted
from sluice.domain.build.requirements import REQUIREMENTS_FILE
from sluice.domain.failures import TransientError
from sluice.lazy import dataclass
from sluice.ports import Cloud, PackageArchive

if TYPE_CHECKING:
    from sluice.domain.config import PipelineConfig

# Of Python and of the processor, that the template allows functions.
PYTHONS = ("3.11", "3.12", "3.13")
ARCHITECTURES = ("x86_64", "arm64")
# As Lambda calls what the kernel calls aarch64.
_ARCHITECTURES = {"aarch64": "arm64"}
_ANOTHER = "another function builds the packages for Lambda"


# By pipeline, project version and image what such jobs asked for last: it is read with what is read first.
_asked: dict[tuple[str, str, str | None], str] = {}


class EnvironmentBuildingError(TransientError):
    """Another builds the environment: wait for it."""


@dataclass(frozen=True, slots=True)
class Found:
    """An environment that jobs can have, or why there is none."""

    environment: Environment | None = None
    problem: str | None = None
    record: Environment | None = None
    """What is known of it, also if it could not be built."""


def want(cloud: Cloud, project: Project, config: PipelineConfig, image: str | None = None) -> Wanted:
    """Return what a project's jobs need on this version of Python; raises NoEnvironmentError.

    `image` takes the place of the project's own, for a champion that brings its own.
    """
    requirements = b""
    if project.has_requirements:
        requirements = cloud.objects.read(f"{project.code_prefix}{REQUIREMENTS_FILE}")
    machine = platform.machine()
    return environments.want(
        config,
        image,
        requirements,
        region=cloud.region,
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        architecture=_ARCHITECTURES.get(machine, machine),
    )


def expected(pipeline: str, version: str, image: str | None) -> str | None:
    """Return the environment that such jobs asked for last, while this function was warm."""
    return _asked.get((pipeline, version, image))


def find(
    cloud: Cloud,
    project: Project,
    config: PipelineConfig,
    image: str | None = None,
    known: Environment | None = None,
) -> Found:
    """Return the environment of a project's jobs, or why there is none; `known` is one that was just read."""
    try:
        wanted = want(cloud, project, config, image)
    except NoEnvironmentError as error:
        return Found(problem=str(error))
    _asked[project.pipeline, project.version, image] = wanted.spec
    found = known if known and known.spec == wanted.spec else find_record(cloud, wanted.spec)
    return judge(found, cloud.now())


def judge(found: Environment | None, now: str) -> Found:
    """Return an environment by its record, or why there is none."""
    if found is None:
        return Found(problem="its packages were not built for Lambda")
    if found.status == "ready":
        return Found(found, record=found)
    if environments.is_building(found, now):
        return Found(problem="its packages are still being built for Lambda")
    return Found(problem=found.problem or "building its packages for Lambda came to no end", record=found)


def find_record(cloud: Cloud, spec: str) -> Environment | None:
    item = cloud.catalog.get(keys.environment_key(spec))
    return Environment.of(item) if item else None


def describe(cloud: Cloud, digest: str) -> dict[str, Any]:
    """Return the document of an environment: its packages, Python, sizes."""
    document: dict[str, Any] = json.loads(
        cloud.objects.read(locations.environment_document(cloud.artifact_bucket, digest))
    )
    return document


def with_packages(cloud: Cloud, steps: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return recorded steps; those that ran in an environment with its Python and its packages."""
    known: dict[str, dict[str, Any]] = {}
    found = list[dict[str, Any]]()
    for step in steps:
        digest = step.get("environment")
        if digest and digest not in known:
            try:
                known[digest] = describe(cloud, digest)
            except FileNotFoundError:
                known[digest] = {}
        about = known.get(digest or "", {})
        found.append({**step, **{name: about[name] for name in ("python", "packages") if name in about}})
    return found


def are_wanted(cloud: Cloud, config: PipelineConfig) -> bool:
    """Tell whether any job of a project may run on Lambda, by its config and by what the account demands."""
    return environments.is_wanted(config) and not cloud.safeguards.isolates_jobs


def are_missing(cloud: Cloud, project: Project, config: PipelineConfig) -> bool:
    """Tell whether jobs of a project may run on Lambda, and nobody built their packages yet."""
    if not are_wanted(cloud, config):
        return False
    try:
        found = find_record(cloud, want(cloud, project, config).spec)
    except NoEnvironmentError:
        return False
    return found is None or found.status == "building" or environments.is_due(found, cloud.now())


def pay(cloud: Cloud, record: Environment | None, job_name: str) -> Mapping[str, Any] | None:
    """Return what building an environment took, to the first job that has it; None to all others."""
    if record is None or record.usage is None:
        return None
    if record.paid_by is None and cloud.catalog.apply(builds.pay_for_environment(record, job_name)):
        return record.usage
    return record.usage if record.paid_by == job_name else None


def ahead(cloud: Cloud, project: Project, config: PipelineConfig) -> Environment | None:
    """Return the environment that the next run pays for, empty if it is not built; None if there is none.

    Whoever asks may have another Python than the functions: it is the one that a function built.
    """
    if config.build is not None or not environments.is_wanted(config):
        return None
    try:
        asked = want(cloud, project, config)
    except NoEnvironmentError:
        return None
    wanted = [
        replace(asked, python=python, architecture=architecture)
        for python in PYTHONS
        for architecture in ARCHITECTURES
    ]
    found = cloud.catalog.get_all([keys.environment_key(each.spec) for each in wanted])
    known = [Environment.of(item) for item in found if item is not None]
    if any(each.usage is None or each.paid_by for each in known if each.status != "building"):
        return None
    return next((each for each in known if each.usage), Environment(asked.spec, "building", ""))


def ensure(
    cloud: Cloud, wanted: Wanted, build: Callable[[Wanted], PackageArchive], memory_mb: int
) -> Environment:
    """Return the environment; build it unless it is there, with this much memory.

    `build` raises NoEnvironmentError for packages that cannot be had; that is recorded, and raised for a
    while. Raises EnvironmentBuildingError while another builds.
    """
    former, now = find_record(cloud, wanted.spec), cloud.now()
    if former is not None and not environments.is_due(former, now):
        if former.status == "ready":
            return former
        if former.status == "failed":
            raise NoEnvironmentError(former.problem)
        raise EnvironmentBuildingError(_ANOTHER)
    claimed = Environment(wanted.spec, "building", now)
    if not cloud.catalog.apply(builds.claim_environment(claimed, former)):
        raise EnvironmentBuildingError(_ANOTHER)
    try:
        ended = _stored(cloud, claimed, build(wanted))
    except Exception as error:
        known = isinstance(error, NoEnvironmentError)
        problem = str(error) if known else f"building its packages failed: {type(error).__name__}: {error}"
        failed = replace(claimed, status="failed", problem=failures.cut(problem))
        _end(cloud, failed, wanted, former, memory_mb)
        raise
    return _end(cloud, ended, wanted, former, memory_mb)


def _end(
    cloud: Cloud, ended: Environment, wanted: Wanted, former: Environment | None, memory_mb: int
) -> Environment:
    usage = environments.usage(ended, wanted.architecture, memory_mb, cloud.now(), former)
    measured = replace(ended, usage=usage)
    cloud.catalog.apply(builds.end_environment(measured))
    return measured


def _stored(cloud: Cloud, claimed: Environment, archive: PackageArchive) -> Environment:
    document, bucket = archive.document, cloud.artifact_bucket
    uri = locations.environment_archive(bucket, archive.digest)
    cloud.objects.upload(archive.path, uri, "application/zstd")
    # The document comes last: whoever finds it, finds the archive.
    described = locations.environment_document(bucket, archive.digest)
    cloud.objects.write(described, json.dumps(document, indent=1).encode(), "application/json")
    return replace(
        claimed,
        status="ready",
        digest=archive.digest,
        size_bytes=document["size_bytes"],
        unpacked_bytes=document["unpacked_bytes"],
        packages=len(document["packages"]),
    )
