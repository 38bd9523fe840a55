"""What the commands show, gathered from catalog, registry, endpoints and logs as plain dictionaries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from sluice.adapters.registry import SageMakerRegistry
from sluice.catalog import keys
from sluice.domain import config, nearest
from sluice.domain.release import alarms as wanted_alarms
from sluice.domain.release import answers, packages
from sluice.domain.release.alarms import Guarded
from sluice_cli import awaited, data_views
from sluice_cli.errors import EXIT_USAGE, CommandError
from sluice_cli.items import without_keys
from sluice_cli.target import REPOSITORY, Target

LOG_TAIL_LINES = 20
LISTED = 5
LOG_GROUPS = {
    "training_job": "/aws/sagemaker/TrainingJobs",
    "processing_job": "/aws/sagemaker/ProcessingJobs",
}


def pipelines(target: Target) -> list[dict[str, Any]]:
    """All pipelines of the stack."""
    return target.catalog.listing(keys.PIPELINES)


def pipeline_names(target: Target) -> list[str]:
    return [item["gsi1sk"] for item in pipelines(target)]


def the_pipeline(target: Target, name: str | None) -> str:
    """The named pipeline, or the only one; anything else is an error that lists them."""
    names = pipeline_names(target)
    if name is None and len(names) == 1:
        return names[0]
    if name in names:
        return str(name)
    listed = ", ".join(names) or "none yet: `sluice push DIR` makes one"
    raise CommandError(
        f"there is no pipeline {name!r}{nearest.hint(name, names)}" if name else "name a pipeline",
        hint=f"Pipelines: {listed}.",
        exit_code=EXIT_USAGE,
    )


def runs(target: Target, pipeline: str, limit: int | None = None) -> list[dict[str, Any]]:
    """A pipeline's runs, newest first."""
    items = target.catalog.query(keys.partition(pipeline), "RUN#", newest_first=True, limit=limit)
    return [
        {"run_id": item["sk"].removeprefix("RUN#"), "pipeline": pipeline, **without_keys(item)}
        for item in items
    ]


def releases(target: Target, pipeline: str) -> list[dict[str, Any]]:
    """A pipeline's releases with their ids."""
    items = target.catalog.query(keys.partition(pipeline), "RELEASE#")
    return [{"release_id": item["sk"].removeprefix("RELEASE#"), **without_keys(item)} for item in items]


def _started(item: dict[str, Any]) -> str:
    return str(item.get("started_at") or "")


def run(target: Target, run_id: str) -> dict[str, Any]:
    """One run with its steps, its gates and its part of the timeline."""
    pipeline = run_id.rpartition("-")[0]
    item = target.catalog.get(keys.run_key(pipeline, run_id))
    if item is None:
        raise no_run(target, run_id, pipeline)
    steps = [
        {"step": step["sk"].removeprefix("STEP#"), **without_keys(step)}
        for step in target.catalog.query(f"RUN#{run_id}", "STEP#")
    ]
    steps.sort(key=_started)
    return {
        "run_id": run_id,
        "pipeline": pipeline,
        **without_keys(item),
        "model": model_name(target, pipeline, item.get("model_package_arn")),
        "steps": steps,
        "timeline": [entry for entry in timeline(target, pipeline) if entry["subject"] == run_id],
    }


def no_run(target: Target, run_id: str, pipeline: str) -> CommandError:
    """Says which runs there are, of the pipeline that was meant, or which pipelines."""
    names = pipeline_names(target)
    meant = next((name for name in (run_id, pipeline) if name in names), None)
    if meant is None:
        listed = f"Pipelines: {', '.join(names) or 'none yet'}; `sluice runs PIPELINE` lists the runs of one."
    else:
        newest = [row["run_id"] for row in runs(target, meant, limit=LISTED)]
        listed = f"Runs of {meant}, newest first: {', '.join(newest) or 'none yet'}."
    return CommandError(f"there is no run {run_id!r}", hint=listed, exit_code=EXIT_USAGE)


def step_of(found: dict[str, Any], wanted: str | None) -> list[dict[str, Any]]:
    """The steps of a run that have a job, or the one of a name; raises CommandError for any other."""
    jobs = [step for step in found["steps"] if step.get("job_name")]
    names = [step["step"] for step in found["steps"]]
    if wanted is None:
        return jobs
    if wanted not in names:
        raise CommandError(
            f"{found['run_id']} has no step {wanted!r}{nearest.hint(wanted, names)}",
            hint=f"Steps: {', '.join(names) or 'none yet'}.",
            exit_code=EXIT_USAGE,
        )
    chosen = [step for step in jobs if step["step"] == wanted]
    if not chosen:
        listed = ", ".join(step["step"] for step in jobs) or "none yet"
        raise CommandError(
            f"the step {wanted!r} has no job, and so no log",
            hint=f"Steps with one: {listed}.",
            exit_code=EXIT_USAGE,
        )
    return chosen


def with_log_tails(target: Target, found: dict[str, Any]) -> dict[str, Any]:
    """A run with the last lines of the logs that may say why it failed, as `log_tail` of their steps.

    They are those of the steps that failed; where none did, the last job did not do what was expected of it.
    """
    jobs = [step for step in found["steps"] if step.get("job_name")]
    failed = [step for step in jobs if step.get("failure_reason")]
    if not failed and found["status"] == "failed":
        failed = jobs[-1:]
    for step in failed:
        step["log_tail"] = step_log(target, step)[-LOG_TAIL_LINES:]
    return found


def model_name(target: Target, pipeline: str, arn: str | None) -> str | None:
    """A name of a version that commands take, whatever other groups of the pipeline hold."""
    if arn is None:
        return None
    group, version = packages.group_of(arn), int(arn.rpartition("/")[2])
    groups = packages.groups_of(target.catalog.get(keys.pipeline_key(pipeline)) or {})
    is_only = groups in ([], [group])
    return f"{pipeline}/{version}" if is_only else packages.full_name(pipeline, group, version)


def timeline(target: Target, pipeline: str, limit: int | None = None) -> list[dict[str, Any]]:
    """The pipeline's timeline, oldest first; `limit` keeps the newest."""
    entries = target.catalog.query(keys.partition(pipeline), "TIMELINE#", newest_first=True, limit=limit)
    return [without_keys(entry) for entry in reversed(entries)]


def models(target: Target, pipeline: str) -> list[dict[str, Any]]:
    """The versions in all groups of the pipeline, newest first, with where each is live.

    What is live though it is gone from the registry comes last.
    """
    serving = stages(target, pipeline)
    listed = [
        row
        for group in packages.groups_of(target.catalog.get(keys.pipeline_key(pipeline)) or {})
        for summary in versions(target, group)
        if (row := _model(target, pipeline, group, summary))
    ]
    listed.sort(key=lambda row: str(row["created_at"]), reverse=True)
    rows = [*listed, *_gone(listed, serving)]
    called = packages.called(pipeline, [(row["group"], row["version"]) for row in rows])
    for row in rows:
        row["model"] = called[row["group"], row["version"]]
        row["live_on"] = [stage["stage"] for stage in serving if _is_live(row, stage)]
    return rows


def versions(target: Target, group: str) -> list[dict[str, Any]]:
    """The summaries of a group's versions; none where there is no such group."""
    return list(SageMakerRegistry(target.client("sagemaker")).packages(group))


def _model(target: Target, pipeline: str, group: str, summary: dict[str, Any]) -> dict[str, Any] | None:
    """A version in a group of the pipeline; None for what another pipeline has in a group that they share."""
    item = target.catalog.get(keys.package_key(summary["ModelPackageArn"])) or {}
    if item.get("pipeline", pipeline) != pipeline:
        return None
    return {
        "model": "",
        "group": group,
        "version": summary["ModelPackageVersion"],
        "arn": summary["ModelPackageArn"],
        "approval_status": summary["ModelApprovalStatus"],
        "created_at": summary["CreationTime"].isoformat(),
        "run_id": item.get("run_id"),
    }


def _is_live(row: dict[str, Any], stage: dict[str, Any]) -> bool:
    """Whether a stage serves a version: by its run too, as a group that was made anew uses ARNs again."""
    is_same_run = None in (stage["run_id"], row["run_id"]) or stage["run_id"] == row["run_id"]
    return bool(stage["live_package_arn"] == row["arn"] and is_same_run)


def _gone(listed: list[dict[str, Any]], serving: list[dict[str, Any]]) -> list[dict[str, Any]]:
    live = {stage["live_package_arn"]: stage for stage in serving if stage["live_package_arn"]}
    return [
        {
            "model": "",
            "group": packages.group_of(arn),
            "version": stage["live_version"],
            "arn": arn,
            "approval_status": "Deleted",
            "created_at": stage["promoted_at"],
            "run_id": stage["run_id"],
        }
        for arn, stage in live.items()
        if not any(_is_live(row, stage) for row in listed)
    ]


def stages(target: Target, pipeline: str) -> list[dict[str, Any]]:
    """What serves on each stage, as the catalog points to it."""
    rows = []
    for stage in target.catalog.query(keys.partition(pipeline), "STAGE#"):
        name = stage["sk"].removeprefix("STAGE#")
        live = stage.get("live")
        deployment = target.catalog.get(keys.deployment_key(pipeline, name, live)) if live else None
        rows.append(
            {
                "stage": name,
                "endpoint_name": stage["endpoint_name"],
                "live": live,
                "releasing": stage.get("releasing"),
                "live_version": (deployment or {}).get("package_version"),
                "live_package_arn": (deployment or {}).get("package_arn"),
                "promoted_at": (deployment or {}).get("promoted_at"),
                "live_group": packages.group_of((deployment or {}).get("package_arn", "")) or None,
                "run_id": (deployment or {}).get("run_id"),
            }
        )
    return rows


def awaited_decisions(target: Target, pipeline: str) -> list[dict[str, Any]]:
    """What waits for a person, by the project that is the pipeline's now."""
    project_version = (target.catalog.get(keys.pipeline_key(pipeline)) or {}).get("project_version")
    project = target.catalog.get(keys.project_key(pipeline, project_version)) if project_version else None
    if project is None:
        return []
    listed = config.restore(project["config"]).release.stages
    taken_back = {
        (stage.name, item["package_arn"])
        for stage in listed
        if stage.requires_approval
        for item in target.catalog.query(keys.partition(pipeline), f"DEPLOYMENT#{stage.name}#")
        if item["status"] == "rolled_back"
    }
    return awaited.decisions(listed, stages(target, pipeline), models(target, pipeline), taken_back)


def endpoint(target: Target, endpoint_name: str) -> dict[str, Any] | None:
    """The endpoint as SageMaker describes it; None where there is none."""
    try:
        return dict(target.client("sagemaker").describe_endpoint(EndpointName=endpoint_name))
    except target.client("sagemaker").exceptions.ClientError:
        return None


def endpoint_status(target: Target, endpoint_name: str) -> str:
    """The endpoint's own status, or `missing`."""
    found = endpoint(target, endpoint_name)
    return str(found["EndpointStatus"]) if found else "missing"


def alarms(target: Target, pipeline: str, stage: str, endpoint_name: str) -> list[dict[str, Any]]:
    """The stage's alarms and their states."""
    names = Guarded(target.stack, pipeline, stage, endpoint_name).alarm_names
    found = target.call("cloudwatch", "describe_alarms", AlarmNames=list(names), AlarmTypes=["MetricAlarm"])
    return [{"alarm": each["AlarmName"], "state": each["StateValue"]} for each in found["MetricAlarms"]]


def guard_faults(target: Target, pipeline: str, stage: dict[str, Any]) -> list[str]:
    """What is wrong with the alarms that the stage's live release wants, until `reconcile` puts them back."""
    run = target.catalog.get(keys.run_key(pipeline, stage["run_id"])) if stage["run_id"] else None
    version = (run or {}).get("project_version")
    project = target.catalog.get(keys.project_key(pipeline, version)) if version else None
    if project is None or stage["releasing"]:
        return []
    guarded = Guarded(target.stack, pipeline, stage["stage"], stage["endpoint_name"])
    limits = config.restore(project["config"]).release.alarms
    wanted = wanted_alarms.requests(guarded, limits, target.outputs["AlarmsTopicArn"])
    names = list(guarded.alarm_names)
    answer = target.call("cloudwatch", "describe_alarms", AlarmNames=names, AlarmTypes=["MetricAlarm"])
    found = {alarm["AlarmName"]: alarm for alarm in answer["MetricAlarms"]}
    return [f"{name} {fault}" for name, fault in wanted_alarms.faults(wanted, found).items()]


def unclaimed(target: Target) -> list[dict[str, Any]]:
    """Objects that belong to no pipeline."""
    return [without_keys(item) for item in target.catalog.query(keys.UNCLAIMED)]


def waiting_steps(target: Target, run_id: str | None) -> list[dict[str, Any]]:
    """The steps of the run in flight whose job cannot be started yet, with what SageMaker says of that."""
    steps = target.catalog.query(f"RUN#{run_id}", "STEP#") if run_id else []
    return [
        {"step": step["sk"].removeprefix("STEP#"), "waits_for": step["waits_for"]}
        for step in steps
        if step.get("waits_for")
    ]


def status(target: Target, pipeline: str) -> dict[str, Any]:
    """Everything a person asks first about one pipeline."""
    item = target.catalog.get(keys.pipeline_key(pipeline)) or {}
    serving = [
        {
            **stage,
            "endpoint_status": endpoint_status(target, stage["endpoint_name"]),
            "alarms": alarms(target, pipeline, stage["stage"], stage["endpoint_name"]),
            "guard_faults": guard_faults(target, pipeline, stage),
        }
        for stage in stages(target, pipeline)
    ]
    rejected = {
        row["stage"]
        for model in models(target, pipeline)
        if model["approval_status"] == "Rejected"
        for row in serving
        if _is_live(model, row)
    }
    for stage in serving:
        stage["is_rejected"] = stage["stage"] in rejected
    arrived = data_views.arrival_items(target, pipeline)
    return {
        "pipeline": pipeline,
        "project_version": item.get("project_version"),
        "in_flight": item.get("in_flight"),
        "waiting_steps": waiting_steps(target, item.get("in_flight")),
        "arrivals": dict(Counter(arrival["status"] for arrival in arrived)),
        **data_views.what_waits(target, pipeline),
        "quarantined": data_views.quarantined(arrived),
        "last_run": next(iter(runs(target, pipeline, limit=1)), None),
        "last_release": max(releases(target, pipeline), key=_started, default=None),
        "group": item.get("group"),
        "stages": serving,
        "awaited": awaited_decisions(target, pipeline),
        "timeline": timeline(target, pipeline, limit=8),
    }


def model_arn(target: Target, model: str) -> str:
    """The package ARN of a version by any of its names, of a pipeline's newest version, or an ARN itself."""
    if model.startswith("arn:"):
        return model
    found = [row for row in _candidates(target, model) if row["approval_status"] != "Deleted"]
    if not found:
        raise _no_model(target, model)
    if "/" in model and len({row["arn"] for row in found}) > 1:
        listed = ", ".join(f"{row['full_name']} ({row['run_id'] or 'of no run'})" for row in found)
        raise CommandError(
            f"{model!r} may be one of several models", hint=f"Name one: {listed}.", exit_code=EXIT_USAGE
        )
    return str(found[0]["arn"])


def _no_model(target: Target, model: str) -> CommandError:
    """Says which versions the pipeline has that was meant, or which pipelines there are."""
    name = the_pipeline(target, model.partition("/")[0])
    versions = ", ".join(row["model"] for row in models(target, name)[:LISTED])
    listed = f"Newest models of {name}: {versions}." if versions else f"{name} has no models yet."
    return CommandError(f"there is no model {model!r}", hint=listed, exit_code=EXIT_USAGE)


def _candidates(target: Target, model: str) -> list[dict[str, Any]]:
    """The versions that a name may mean; of a pipeline's name all of its versions, newest first."""
    name = model.partition("/")[0]
    known = {item["gsi1sk"]: packages.groups_of(item) for item in pipelines(target)}
    meant = [pipeline for pipeline, groups in known.items() if name == pipeline or name in groups]
    if "/" not in model or not meant:
        return models(target, the_pipeline(target, name))
    return [
        {**row, "full_name": packages.full_name(pipeline, row["group"], row["version"])}
        for pipeline in meant
        for row in models(target, pipeline)
        if packages.is_meant(model, pipeline, row["group"], row["version"])
    ]


def log_lines(target: Target, group: str, stream_prefix: str = "") -> Iterator[str]:
    """The lines of all streams of a log group that begin with a prefix."""
    logs = target.client("logs")
    chosen = {"logStreamNamePrefix": stream_prefix} if stream_prefix else {}
    try:
        pages = logs.get_paginator("describe_log_streams").paginate(logGroupName=group, **chosen)
        streams = [stream for page in pages for stream in page["logStreams"]]
    except logs.exceptions.ResourceNotFoundException:
        return
    for stream in streams:
        token: dict[str, str] = {}
        while True:
            page = logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True, **token
            )
            yield from (event["message"].rstrip("\n") for event in page["events"])
            if not page["events"] or page["nextForwardToken"] == token.get("nextToken"):
                break
            token = {"nextToken": page["nextForwardToken"]}


def step_log(target: Target, step: dict[str, Any]) -> list[str]:
    """The log of the job that a step ran."""
    group = LOG_GROUPS.get(step.get("kind", ""))
    return list(log_lines(target, group, f"{step['job_name']}/")) if group and step.get("job_name") else []


def physical_id(target: Target, logical: str) -> str:
    """The name of a resource of the stack."""
    answer = target.call(
        "cloudformation", "describe_stack_resource", StackName=target.stack, LogicalResourceId=logical
    )
    return str(answer["StackResourceDetail"]["PhysicalResourceId"])


def function_log(target: Target, function: str) -> list[str]:
    """The log of one of the stack's functions, by its folder's name."""
    names = sorted(path.parent.name for path in (REPOSITORY / "functions").glob("*/app.py"))
    if function not in names:
        raise CommandError(
            f"there is no function {function!r}{nearest.hint(function, names)}",
            hint=f"Functions: {', '.join(names)}.",
            exit_code=EXIT_USAGE,
        )
    logical = "".join(part.capitalize() for part in function.split("_")) + "Function"
    configuration = target.call(
        "lambda", "get_function_configuration", FunctionName=physical_id(target, logical)
    )
    group = (
        configuration.get("LoggingConfig", {}).get("LogGroup")
        or f"/aws/lambda/{configuration['FunctionName']}"
    )
    return list(log_lines(target, group))


def endpoint_log(target: Target, endpoint_name: str) -> list[str]:
    """The log of an endpoint's model server; raises CommandError where there is no such endpoint."""
    lines = list(log_lines(target, f"/aws/sagemaker/Endpoints/{endpoint_name}"))
    if not lines and endpoint(target, endpoint_name) is None:
        names = [row["endpoint_name"] for name in pipeline_names(target) for row in stages(target, name)]
        raise CommandError(
            f"there is no endpoint {endpoint_name!r}{nearest.hint(endpoint_name, names)}",
            hint=f"Endpoints of this stack: {', '.join(names) or 'none yet'}.",
            exit_code=EXIT_USAGE,
        )
    return lines


def first_reasons(item: dict[str, Any], count: int = 1) -> str:
    """The first reasons of a run or release in one line."""
    reasons = item.get("reasons") or []
    more = f" (+{len(reasons) - count})" if len(reasons) > count else ""
    return "; ".join(brief(str(reason)) for reason in reasons[:count]) + more


def brief(reason: str) -> str:
    """A reason in a line: of a traceback in SageMaker's words the first line, and the one that says why."""
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    saying = [line for line in lines[1:] if not line.startswith(("Command ", "ExitCode "))]
    if len(saying) < 2:
        return " ".join(lines)
    last = saying[-1].rstrip('"')
    return f"{lines[0]} […] {last}"


def parse_body(body: bytes) -> Any:
    """A response body as JSON where it is JSON, else as text: with NaN in it, it is none."""
    try:
        return answers.parse_json(body)
    except answers.NotJsonError:
        return body.decode(errors="replace")
