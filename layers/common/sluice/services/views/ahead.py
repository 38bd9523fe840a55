"""Read ahead, by few requests, what the views of a page ask for one by one.

A page knows the keys of most of what it shows: a pipeline names its stages, runs, project and release, a
stage its deployment, a deployment its package and run. Each of these steps is one batch of gets. It helps
where the catalog is a page's own (`moments.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sluice.catalog import keys
from sluice.catalog.records.builds import Pipeline, Run
from sluice.catalog.records.releases import Deployment, Package, Stage
from sluice.domain import names
from sluice.domain.build import candidates, champions
from sluice.domain.failures import MissingError
from sluice.domain.release import packages, releases
from sluice.ports import Cloud
from sluice.services import building
from sluice.services.release import releasing
from sluice.services.views import moments, runs

Stages = Mapping[str, Sequence[Stage]]
# Runs with more steps than these are asked for them.
_STEPS_MAX = 90


def find(cloud: Cloud, pipeline: str) -> Pipeline:
    """Return a pipeline, read with what else has a key by its name alone; raises MissingError."""
    known = (keys.pipeline_key, keys.aside_key, keys.counts_key, keys.batches_key)
    item, *_ = cloud.catalog.get_all([key(pipeline) for key in known])
    if item is None:
        raise MissingError(f"There is no pipeline {pipeline!r}.")
    return Pipeline.of(item)


def find_with_stages(cloud: Cloud, pipeline: str, runs_shown: int = 1) -> Pipeline:
    """Return a pipeline after all was read that has a known key, stages too; raises MissingError."""
    found = find(cloud, pipeline)
    read(cloud, [found], {pipeline: _stages(cloud, found, runs_shown)})
    return found


def _stages(cloud: Cloud, pipeline: Pipeline, runs_shown: int) -> list[Stage]:
    """Return a pipeline's stages, by the names that it has noted; one of an older stack is asked for them."""
    if pipeline.stage_names is None:
        return releasing.find_stages(cloud, pipeline.name)
    wanted = [keys.stage_key(pipeline.name, name) for name in sorted(pipeline.stage_names)]
    cloud.catalog.get_all(wanted + _known_keys(cloud, pipeline, runs_shown))
    items = [item for item in cloud.catalog.get_all(wanted) if item]
    moments.learn(cloud, keys.partition(pipeline.name), keys.STAGES, items)
    return [Stage.of(item) for item in items]


def read(cloud: Cloud, shown: Sequence[Pipeline], staged: Stages) -> None:
    """Read of some pipelines what serves, and how that came about."""
    live = [stage for each in shown for stage in staged[each.name] if stage.live]
    wanted = [key for each in shown for key in _known_keys(cloud, each)]
    for stage in live:
        wanted.append(keys.deployment_key(stage.pipeline, stage.name, str(stage.live)))
        wanted.append(keys.release_key(stage.pipeline, str(stage.live)))
    found = [item for item in cloud.catalog.get_all(wanted) if item]
    deployed = [Deployment.of(item) for item in found if item["sk"].startswith(keys.DEPLOYMENTS)]
    arns = {str(item.get("model_package_arn") or "") for item in found}
    newest = [key for each in shown for key in map(keys.package_key, packages.newest(each))]
    known = [Package.of(item) for item in cloud.catalog.get_all(newest) if item]
    _read_packages(cloud, deployed, arns, _approved_releases(known, deployed))


def _approved_releases(found: Sequence[Package], deployed: Sequence[Deployment]) -> list[keys.Key]:
    """Return the keys of the releases of approved versions that serve nowhere: they may have been refused."""
    live = {each.package_arn for each in deployed}
    approved = [
        each for each in found if each.status == "Approved" and each.pipeline and each.arn not in live
    ]
    return [keys.release_key(str(each.pipeline), releases.id_of_approval(each)) for each in approved]


def _read_packages(
    cloud: Cloud, deployed: Sequence[Deployment], arns: set[str], beside: Sequence[keys.Key]
) -> None:
    """Read the packages of deployments with their runs, and what is asked `beside`; then their projects."""
    arns |= {each.package_arn for each in deployed}
    wanted = [*beside, *(keys.package_key(arn) for arn in sorted(arns) if arn)]
    wanted += [keys.run_key(each.pipeline, each.run_id) for each in deployed if each.run_id]
    found = cloud.catalog.get_all(wanted)
    cloud.catalog.get_all(
        [
            keys.project_key(keys.pipeline_of(item), item["project_version"])
            for item in found
            if item and item.get("project_version")
        ]
    )


def _known_keys(cloud: Cloud, pipeline: Pipeline, runs_shown: int = 1) -> list[keys.Key]:
    """Return the keys of what a pipeline's own item names."""
    name = pipeline.name
    found = [keys.pipeline_key(name), keys.aside_key(name)]
    found += [keys.run_key(name, run_id) for run_id in runs.newest_ids(pipeline, runs_shown)]
    found += [keys.package_key(arn) for arn in packages.newest(pipeline)]
    if pipeline.project_version:
        found.append(keys.project_key(name, pipeline.project_version))
    if pipeline.dataset_version:
        found.append(keys.dataset_key(name, pipeline.dataset_version))
    if pipeline.last_release:
        found.append(keys.release_key(name, pipeline.last_release))
    return found


def read_history(cloud: Cloud, stages: Sequence[Stage], limit: int) -> None:
    """Read the last promotions on stages, by a query for each, and what they put there by one batch."""
    wanted = []
    for stage in stages:
        prefix = f"{keys.PROMOTIONS}{stage.name}#"
        partition = keys.partition(stage.pipeline)
        for item in cloud.catalog.query(partition, prefix, newest_first=True, limit=limit):
            wanted.append(keys.deployment_key(stage.pipeline, stage.name, item["release_id"]))
            wanted.append(keys.release_key(stage.pipeline, item["release_id"]))
    cloud.catalog.get_all(wanted)


def read_troubles(cloud: Cloud, pipeline: str) -> None:
    """Read a pipeline's recalls and recoveries by one query: their keys lie beside each other."""
    partition = keys.partition(pipeline)
    found = cloud.catalog.query(partition, between=keys.recalls_and_recoveries())
    for prefix in (keys.RECALLS, keys.RECOVERIES):
        moments.learn(cloud, partition, prefix, [each for each in found if each["sk"].startswith(prefix)])


def read_package(cloud: Cloud, arn: str) -> None:
    """Read all of a package by one query: decisions, and the notes of its releases."""
    partition = keys.package_partition(arn)
    moments.learn(cloud, partition, "", cloud.catalog.query(partition))


def read_story(cloud: Cloud, pipeline: str, stage: str) -> None:
    """Read what the story of a stage's live version is told from."""
    staged = releasing.find_stages(cloud, pipeline)
    live = next((each.live for each in staged if each.name == stage), None)
    item = cloud.catalog.get(keys.deployment_key(pipeline, stage, live)) if live else None
    if item is None:
        return
    arn = Deployment.of(item).package_arn
    read_package(cloud, arn)
    noted = cloud.catalog.query(keys.package_partition(arn), keys.RELEASES)
    releases = [keys.release_id_of(each) for each in noted]
    wanted = [keys.deployment_key(pipeline, each.name, release) for each in staged for release in releases]
    wanted += [keys.release_key(pipeline, release) for release in releases]
    watched = keys.monitor_key(pipeline, stage)
    run = cloud.catalog.get(keys.run_key(pipeline, str(item.get("run_id"))))
    if run and run.get("dataset_version"):
        wanted.append(keys.dataset_key(pipeline, run["dataset_version"]))
    cloud.catalog.get_all([watched, *wanted])


def read_run(cloud: Cloud, run_id: str) -> None:
    """Read a run with its pipeline, and then its project and what it registered."""
    pipeline = run_id.rpartition("-")[0]
    run, _ = cloud.catalog.get_all([keys.run_key(pipeline, run_id), keys.pipeline_key(pipeline)])
    if run is None:
        return
    arn, project = run.get("model_package_arn"), run.get("project_version")
    wanted = [keys.package_key(arn)] if arn else []
    cloud.catalog.get_all(wanted + ([keys.project_key(pipeline, project)] if project else []))


def read_compared(cloud: Cloud, run_ids: Sequence[str]) -> None:
    """Read runs with their steps, by the names that steps of such a run have, their projects and data."""
    pipelines = dict.fromkeys(each.rpartition("-")[0] for each in run_ids)
    items = cloud.catalog.get_all([keys.run_key(each.rpartition("-")[0], each) for each in run_ids])
    found = [Run.of(item) for item in items if item]
    wanted = [keys.pipeline_key(each) for each in pipelines]
    wanted += [keys.project_key(run.pipeline, run.project_version) for run in found]
    wanted += [keys.dataset_key(run.pipeline, run.dataset_version) for run in found if run.dataset_version]
    cloud.catalog.get_all(wanted)
    planned = {run.run_id: steps for run in found if (steps := _planned(cloud, run))}
    cloud.catalog.get_all([keys.step_key(run, step) for run, steps in planned.items() for step in steps])
    for run, steps in planned.items():
        made = [item for item in cloud.catalog.get_all([keys.step_key(run, step) for step in steps]) if item]
        partition = keys.steps_partition(run)
        moments.learn(cloud, partition, keys.STEPS, sorted(made, key=lambda item: str(item["sk"])))


def _planned(cloud: Cloud, run: Run) -> list[str]:
    """Name all steps that a run may have; none where they are told by others, or are too many."""
    if run.runs_pipeline or run.reproduces:
        return []
    train = building.config_of(cloud, run).train
    many, rungs = len(candidates.first(train)), len(candidates.rungs(train))
    if many * rungs > _STEPS_MAX:
        return []
    trained = [candidates.name(index, rung) for rung in range(rungs) for index in range(many)]
    evaluated = [names.evaluate_step(role) for role in ("candidate", champions.ROLE, champions.OWN_ROLE)]
    return [
        names.PREPARE,
        names.SELECT,
        names.GATES,
        "register",
        *evaluated,
        *(f"{names.TRAIN}{name}" for name in trained),
    ]
