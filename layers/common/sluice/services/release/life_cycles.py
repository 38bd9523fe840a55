"""Keep the registry's life cycle of versions true, and heed what a person writes there.

The registry has no compare-and-set, so the catalog says which value is on record and which is being written:
any other is a person's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.changes import releases as changes
from sluice.catalog.records.releases import Deployment, Package
from sluice.domain import names
from sluice.domain.failures import ConflictError
from sluice.domain.release import life_cycles, packages
from sluice.domain.release.approvals import Decision
from sluice.domain.release.life_cycles import Judgement, LifeCycle, Place
from sluice.domain.release.releases import Request
from sluice.lazy import dataclass
from sluice.services import building
from sluice.services.release import deploying, releasing
from sluice.services.timeline import note

if TYPE_CHECKING:
    from sluice.catalog.records.releases import Release, Stage
    from sluice.domain import config
    from sluice.ports import Cloud, Item

_TRIES = 5
# So many releases of one version to a stage are looked at.
_RELEASES = 50


@dataclass(frozen=True, slots=True)
class _Version:
    package: Package
    described: Item
    place: Place
    # How people and commands call it.
    name: str

    @property
    def pipeline(self) -> str:
        return str(self.package.pipeline)


def follow_release(cloud: Cloud, pipeline: str, release_id: str) -> list[str]:
    """Write the life cycles that follow from a release's end, once; returns what was written.

    An end that is told again only finishes what it began: meanwhile a person may have written something else.
    """
    for _ in range(_TRIES):
        release = releasing.find_release(cloud, pipeline, release_id)
        if release is None or release.package_arn is None:
            return []
        arns = _concerned(cloud, release)
        if release.followed_at is not None or _plan(cloud, release, arns):
            written = [heed(cloud, arn) for arn in arns]
            return [each for each in written if each]
    raise ConflictError(f"the versions of {release_id} changed each time their life cycles were to follow")


def _concerned(cloud: Cloud, release: Release) -> Sequence[str]:
    """Return the ARNs of the version that a release brought, and of those that it replaced."""
    arns = [str(release.package_arn)]
    for stage in release.stages:
        deployment = deploying.find_deployment(cloud, release.pipeline, stage, release.release_id)
        replaces = deployment.replaces if deployment else None
        replaced = deploying.find_deployment(cloud, release.pipeline, stage, replaces)
        arns += [replaced.package_arn] if replaced else []
    return list(dict.fromkeys(arns))


def _plan(cloud: Cloud, release: Release, arns: Sequence[str]) -> bool:
    """Note that the end takes effect, and what is to be written: nothing over what is still to be heeded."""
    found = [version for arn in arns if (version := _find(cloud, arn))]
    plans = [
        changes.plan_life_cycle(version.package, life_cycles.truth(version.place).text)
        for version in found
        if _by_a_person(version) is None and not _says_what_is_so(version)
    ]
    followed = changes.follow_release(release.pipeline, release.release_id, cloud.now())
    return cloud.catalog.apply(followed, *plans)


def heed(cloud: Cloud, arn: str) -> str | None:
    """Heed a person's change of a version's life cycle, once; returns what was written in its place.

    Whatever this stack had begun to write is finished.
    """
    version = _find(cloud, arn)
    if version is None:
        return None
    if (said := _by_a_person(version)) is None:
        return _write(cloud, version) if version.package.life_cycle_next else None
    judgement = _answer(cloud, version, said)
    following = life_cycles.truth(version.place).text if judgement.verdict == "refused" else None
    seen = cloud.catalog.apply(changes.see_life_cycle(version.package, said.text, following))
    return heed(cloud, arn) if seen and following else None


def _by_a_person(version: _Version) -> LifeCycle | None:
    """Return the version's life cycle in the registry if it is neither on record nor being written."""
    said, seen = life_cycles.of_package(version.described), version.package
    return said if said and said.text not in (seen.life_cycle, seen.life_cycle_next) else None


def _says_what_is_so(version: _Version) -> bool:
    found = life_cycles.of_package(version.described)
    return found is not None and found.text == life_cycles.truth(version.place).text


def _find(cloud: Cloud, arn: str) -> _Version | None:
    """Return a version that a run of the stack registered, as it is now."""
    item = cloud.catalog.get(keys.package_key(arn))
    package = Package.of(item) if item else None
    described = cloud.registry.describe_package(arn) if package and package.pipeline else None
    if package is None or described is None:
        return None
    name = packages.name_of(cloud.stack_name, package)
    return _Version(package, described, _place(cloud, package, described), name)


def _place(cloud: Cloud, package: Package, described: Item) -> Place:
    """Gather where a version is, by the catalog."""
    pipeline, listed = str(package.pipeline), _stages_of(cloud, package)
    found = releasing.find_stages(cloud, pipeline)
    deployed = [each for stage in found for each in _deployments(cloud, package, stage)]
    live = {stage.name: stage.live for stage in found}
    serving = {each.stage for each in deployed if each.release_id == live[each.stage]}
    order = [*(stage.name for stage in listed), *sorted(serving)]
    live_on = [name for name in dict.fromkeys(order) if name in serving]
    last = max(deployed, key=lambda each: each.ended_at or each.promoted_at or "", default=None)
    return Place(
        stages=[stage.name for stage in listed],
        live_on=live_on,
        awaited=_awaited(cloud, package, listed, live_on),
        last=last,
        approval_status=described.get("ModelApprovalStatus", ""),
        arriving=_arriving(cloud, package, found),
    )


def _arriving(cloud: Cloud, package: Package, found: Sequence[Stage]) -> str | None:
    """Return the first stage that a release under way brings a version to."""
    for stage in found:
        trying = deploying.find_deployment(cloud, stage.pipeline, stage.name, stage.releasing)
        if trying is not None and trying.status == "deploying" and trying.is_of(package.arn, package.run_id):
            return stage.name
    return None


def _stages_of(cloud: Cloud, package: Package) -> Sequence[config.Stage]:
    run = building.find_run(cloud, str(package.pipeline), str(package.run_id))
    return building.config_of(cloud, run).release.stages if run else ()


def _awaited(
    cloud: Cloud, package: Package, listed: Sequence[config.Stage], live_on: Sequence[str]
) -> str | None:
    """Return the stage behind the furthest live one, if a person has to release the version to it."""
    furthest = max((place for place, stage in enumerate(listed) if stage.name in live_on), default=None)
    following = listed[furthest + 1 :] if furthest is not None else ()
    if not following or not following[0].requires_approval:
        return None
    where = str(package.pipeline), following[0].name
    return None if deploying.was_taken_back(cloud, *where, package.arn, package.version) else where[1]


def _deployments(cloud: Cloud, package: Package, stage: Stage) -> Iterator[Deployment]:
    """Yield what releases of a version did to a stage, and a rollback to it that is live."""
    prefix = keys.deployments_of(stage.name) + names.releases_of(stage.pipeline, package.version)
    items = cloud.catalog.query(keys.partition(stage.pipeline), prefix, newest_first=True, limit=_RELEASES)
    found = {each.release_id: each for each in map(Deployment.of, items)}
    live = deploying.find_deployment(cloud, stage.pipeline, stage.name, stage.live)
    if live is not None:
        found[live.release_id] = live
    yield from (each for each in found.values() if each.is_of(package.arn, package.run_id))


def _answer(cloud: Cloud, version: _Version, said: LifeCycle) -> Judgement:
    """Do what follows from a person's change, or say why nothing does. Repeating it changes nothing."""
    judgement = life_cycles.judge(said, version.place, version.name, version.pipeline)
    decision = Decision.of(version.described, cloud.now())
    words = f"{said.stage} {said.status}"
    if judgement.stage is not None:
        request = _request(version, judgement.stage, decision, words)
        cloud.workflows.start("release", request.release_id, asdict(request))
    detail = f"{words} in the registry: {judgement.reason}"
    event, who = f"life cycle {judgement.verdict}", decision.approver
    note(cloud, version.pipeline, decision.decided_at, version.name, event, detail, who)
    return judgement


def _request(version: _Version, stage: str, decision: Decision, words: str) -> Request:
    """Make the one request for a release that follows from a person's change."""
    package = version.package
    cause_key = f"life-cycle#{package.arn}#{stage}#{decision.decided_at}"
    return Request(
        pipeline=version.pipeline,
        release_id=names.release_id(version.pipeline, package.version, cause_key),
        cause="command",
        package_arn=package.arn,
        stages=[stage],
        actor=decision.approver,
        reason=f"its life cycle in the registry was set to {words}",
    )


def _write(cloud: Cloud, version: _Version) -> str | None:
    """Finish what was begun: write what is so by now, unless the registry says it already."""
    wanted, seen = life_cycles.truth(version.place), version.package
    if not _says_what_is_so(version):
        if not cloud.catalog.apply(changes.plan_life_cycle(seen, wanted.text)):
            return None
        cloud.registry.write_life_cycle(seen.arn, wanted.request())
    cloud.catalog.apply(changes.confirm_life_cycle(seen.arn, wanted.text))
    return wanted.text
