"""Resolve names given on the command line; if nothing has the name, suggest what may have been meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sluice.catalog.records.builds import Run
from sluice.domain import config, locations, names, nearest
from sluice.domain.config import PipelineConfig
from sluice.services import building
from sluice.services.data import tracing
from sluice.services.views import data, models, pipelines, runs, stages, uploads
from sluice_cli import output
from sluice_cli.errors import EXIT_REJECTED, EXIT_USAGE, CommandError, unknown
from sluice_cli.options import PAGE
from sluice_cli.output import short
from sluice_cli.target import Target

LISTED = 5


def the_pipeline(target: Target, name: str | None) -> str:
    """Return the named pipeline, or the only one; else raises CommandError, which lists them."""
    known = pipelines.pipeline_names(target.cloud)
    if name and (meant := name.partition("/")[0]) != name and meant in known:
        raise CommandError(
            f"{name} is a version, and this asks for a pipeline",
            hint=f"Name the pipeline: {meant}.",
            exit_code=EXIT_USAGE,
        )
    if name is None and len(known) == 1:
        return known[0]
    if name in known:
        return str(name)
    if name and (run := _find_run(target, name)):
        raise CommandError(
            f"{name} is a run, and this asks for a pipeline",
            hint=f"Name the pipeline: {run.pipeline}.",
            exit_code=EXIT_USAGE,
        )
    listed = f"Pipelines: {', '.join(known) or 'none yet: `sluice push DIR` makes one'}."
    if not name:
        raise CommandError("name a pipeline", hint=listed, exit_code=EXIT_USAGE)
    raise unknown(f"there is no pipeline {name!r}", name, known, listed)


def stage_row(target: Target, pipeline: str, stage: str) -> dict[str, Any]:
    """Return what serves on a stage; raises CommandError, which lists those that there are."""
    return stage_among(stages.stages(target.cloud, pipeline), pipeline, stage)


def stage_among(rows: Sequence[dict[str, Any]], pipeline: str, stage: str) -> dict[str, Any]:
    """Return the row of a stage among those of its pipeline; raises CommandError, which lists them."""
    found = {row["stage"]: row for row in rows}
    if stage not in found:
        listed = f"Stages: {', '.join(found) or 'none has been released yet'}."
        raise unknown(f"{pipeline} has no stage {stage!r}", stage, found, listed)
    return found[stage]


def pushed_config(target: Target, pipeline: str) -> PipelineConfig:
    """Return what an existing pipeline's pipeline.yaml was at its last push."""
    state = building.find_pipeline(target.cloud, pipeline)
    version = state.project_version if state else ""
    return config.restore(building.find_project(target.cloud, pipeline, version).config)


def named_run(target: Target, named: str) -> Run:
    """Return the run of this name, or the newest run of the pipeline of this name, and say which that is.

    Raises CommandError if there is neither.
    """
    if run := _find_run(target, named):
        return run
    newest = runs.runs(target.cloud, named, limit=1)
    run = _find_run(target, newest[0]["run_id"]) if newest else None
    if run is None:
        raise no_run(target, named)
    output.hint(f"the newest run of {named}: {run.run_id}")
    return run


def _find_run(target: Target, run_id: str) -> Run | None:
    return building.find_run(target.cloud, run_id.rpartition("-")[0], run_id)


def the_run(target: Target, run_id: str) -> dict[str, Any]:
    """Return a run with its steps; raises CommandError if there is none."""
    found = runs.run(target.cloud, run_id)
    if found is None:
        raise no_run(target, run_id)
    return found


def no_run(target: Target, named: str) -> CommandError:
    """Make the error that lists the runs of the pipeline that was meant, or else the pipelines."""
    known = pipelines.pipeline_names(target.cloud)
    meant = next((name for name in (named, named.rpartition("-")[0]) if name in known), None)
    if meant == named:
        begin = f"`sluice upload {meant} FILE` starts one."
        return CommandError(f"{meant} has no runs yet", hint=begin, exit_code=EXIT_USAGE)
    if meant is None:
        listed = f"Pipelines: {', '.join(known) or 'none yet'}; `sluice runs PIPELINE` lists the runs of one."
    else:
        newest = [row["run_id"] for row in runs.runs(target.cloud, meant, limit=LISTED)]
        listed = f"Runs of {meant}, newest first: {', '.join(newest) or 'none yet'}."
    of_model = (models.named(target.cloud, named) or ()) if "/" in named else ()
    if run_id := next((row["run_id"] for row in of_model), None):
        return CommandError(
            f"{named} is a model, and this asks for a run", hint=f"Its run is {run_id}.", exit_code=EXIT_USAGE
        )
    similar = _similar_runs(target, named, known) or ([] if meant else known)
    return unknown(f"there is no run {named!r}", named, similar, listed)


def _similar_runs(target: Target, named: str, known: Sequence[str]) -> list[str]:
    """Return the run with the number that was named, however written, else the newest of its pipeline."""
    head, _, number = named.rpartition("-")
    pipeline = head if head in known else nearest.nearest(head, known) if head else None
    if pipeline is None:
        return []
    if number.isdecimal() and int(number):
        run_id = names.run_id(pipeline, int(number))
        if _find_run(target, run_id):
            return [run_id]
    return [row["run_id"] for row in runs.runs(target.cloud, pipeline, limit=PAGE)] if number else []


def step_of(found: dict[str, Any], wanted: str | None) -> list[dict[str, Any]]:
    """Return a run's steps that have jobs, or the named one of them; raises CommandError if there is none."""
    jobs = [step for step in found["steps"] if step.get("job_name")]
    steps = [step["step"] for step in found["steps"]]
    if wanted is None:
        return jobs
    if wanted not in steps:
        listed = f"Steps: {', '.join(steps) or 'none yet'}."
        raise unknown(f"{found['run_id']} has no step {wanted!r}", wanted, steps, listed)
    chosen = [step for step in jobs if step["step"] == wanted]
    if cached := next((s["cached"] for s in found["steps"] if s["step"] == wanted and s.get("cached")), None):
        raise CommandError(
            f"the step {wanted!r} was not computed: {cached['step']} of {cached['run_id']} did the same",
            hint=f"`sluice logs {cached['run_id']} {cached['step']}` has its log.",
            exit_code=EXIT_USAGE,
        )
    if not chosen:
        listed = ", ".join(step["step"] for step in jobs) or "none yet"
        raise CommandError(
            f"the step {wanted!r} has no job, and so no log",
            hint=f"Steps with one: {listed}.",
            exit_code=EXIT_USAGE,
        )
    return chosen


def the_dataset_version(target: Target, pipeline: str, version: str | None) -> dict[str, Any]:
    """Return the version with these digits, or the only one that begins with them.

    Without digits it is the pipeline's newest, and it says which that is.
    """
    hint = f"`sluice dataset list {pipeline}` lists them."
    if version is None:
        newest = data.dataset_versions(target.cloud, pipeline, 1)
        if not newest:
            problem = f"{pipeline} has no data set version yet"
            raise CommandError(
                problem, hint=f"`sluice upload {pipeline} FILE` makes one.", exit_code=EXIT_USAGE
            )
        output.hint(f"the newest data set of {pipeline}: {short(newest[0]['dataset_version'])}")
        return newest[0]
    if not are_digits(version):
        problem = f"{version!r} is no data set version: 4 to 64 hex digits"
        raise CommandError(problem, hint=hint, exit_code=EXIT_USAGE)
    found = data.versions_beginning(target.cloud, pipeline, version)
    if len(found) != 1:
        if not found:
            known = [item["dataset_version"] for item in data.dataset_versions(target.cloud, pipeline, PAGE)]
            shown = [digest[: max(len(version), len(short(digest)))] for digest in known]
            raise unknown(f"no data set version begins with {version}", version, shown, hint)
        several = ", ".join(short(item["dataset_version"]) for item in found)
        problem = f"{len(found)} data set versions begin with {version}: {several}"
        raise CommandError(problem, hint=hint, exit_code=EXIT_USAGE)
    return found[0]


def are_digits(version: str) -> bool:
    """Tell whether these may begin a data set version."""
    return re.fullmatch(r"[0-9a-f]{4,64}", version) is not None


def the_object(target: Target, named: str) -> tuple[str, str]:
    """Return the pipeline and the key of an object, given by key or S3 URI; raises CommandError."""
    prefix = f"s3://{target.cloud.data_bucket}/"
    key = named.removeprefix(prefix)
    pipeline = locations.parse_key(key)[0]
    if pipeline is None or key.startswith("s3://"):
        raise CommandError(
            f"{named!r} names no uploaded object",
            hint=f"Name it as `sluice data list` does, or as {prefix}PIPELINE/...",
            exit_code=EXIT_USAGE,
        )
    the_pipeline(target, pipeline)
    if not tracing.object_versions(target.cloud, pipeline, key):
        listed = f"`sluice data list {pipeline}` lists what did."
        known = {each.key for each in uploads.page(target.cloud, pipeline).items}
        raise unknown(f"{key} never arrived", key, sorted(known), listed)
    return pipeline, key


def model_arn(target: Target, model: str) -> str:
    """Return the ARN of a model package, given by a name, its ARN or its pipeline: its newest, and say which.

    A number may be written as commands show it, `v3`.
    """
    if model.startswith("arn:"):
        return model
    model = re.sub(r"/v(?=\d+$)", "/", model)
    found = [row for row in _candidates(target, model) if row["approval_status"] != "Deleted"]
    if not found:
        raise _no_model(target, model)
    if "/" in model and len({row["arn"] for row in found}) > 1:
        listed = ", ".join(f"{row['full_name']} ({row['run_id'] or 'of no run'})" for row in found)
        raise CommandError(
            f"{model!r} may be one of several models", hint=f"Name one: {listed}.", exit_code=EXIT_USAGE
        )
    if "/" not in model:
        output.hint(f"the newest model of {model}: {found[0]['model']}")
    return str(found[0]["arn"])


def the_stage(target: Target, named: str | None, stage: str | None, default: str) -> tuple[str, str]:
    """Return the pipeline and the stage that are meant by a pipeline, or by a version that serves there.

    Raises CommandError, with the exit code of a refusal, if the version does not serve there.
    """
    if named is None or "/" not in named:
        return the_pipeline(target, named), stage or default
    arn = model_arn(target, named)
    rows = [
        (name, row)
        for name in pipelines.pipeline_names(target.cloud)
        for row in stages.stages(target.cloud, name)
    ]
    serving = [(name, row["stage"]) for name, row in rows if row["live_package_arn"] == arn]
    if found := [each for each in serving if stage in (None, each[1])]:
        return next((each for each in found if each[1] == default), found[0])
    where = f"serves on {', '.join(each[1] for each in serving)}" if serving else "serves nowhere"
    raise CommandError(
        f"{named} {where}" + (f", and not on {stage}" if stage and serving else ""),
        hint=f"`sluice lineage {named}` tells what it was made of, `sluice models {named.partition('/')[0]}` "
        "what became of it, and `sluice history` when it served.",
        exit_code=EXIT_REJECTED,
    )


def _no_model(target: Target, model: str) -> CommandError:
    """Make the error that lists the models of the pipeline that was meant, or else the pipelines."""
    name = the_pipeline(target, model.partition("/")[0])
    versions = [row["model"] for row in models.page(target.cloud, name, limit=LISTED)]
    listed = f"Newest models of {name}: {', '.join(versions)}." if versions else f"{name} has no models yet."
    return unknown(f"there is no model {model!r}", model, versions, listed)


def _candidates(target: Target, model: str) -> list[dict[str, Any]]:
    """Return the versions that a name may mean; for a pipeline its newest one."""
    found = models.named(target.cloud, model) if "/" in model else None
    if found is not None:
        return found
    if "/" not in model and model not in pipelines.pipeline_names(target.cloud):
        _refuse_run(target, model)
    name = model.partition("/")[0]
    return models.page(target.cloud, the_pipeline(target, name), limit=1)


def _refuse_run(target: Target, named: str) -> None:
    """Raise CommandError if this names a run in place of a model, with the model that the run registered."""
    if run := _find_run(target, named):
        made = models.model_name(target.cloud, run.pipeline, run.model_package_arn)
        raise CommandError(
            f"{named} is a run, and this asks for a model",
            hint=f"Its model is {made}." if made else f"It made none: `sluice models {run.pipeline}`.",
            exit_code=EXIT_USAGE,
        )
