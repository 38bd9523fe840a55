"""Read the logs of jobs, functions and endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sluice.domain import names
from sluice.domain.build import champions, log_tails, selection
from sluice.services.views import pipelines, runs, stages
from sluice_cli.errors import unknown
from sluice_cli.target import REPOSITORY, Target

_OF_CHAMPION = {names.evaluate_step(role) for role in (champions.ROLE, champions.OWN_ROLE)}


def with_log_tails(target: Target, found: dict[str, Any]) -> dict[str, Any]:
    """Add to a run's steps, as `log_tail`, the last lines of the logs that may say what went wrong.

    These are the logs of the failed steps, and of those that did not report the objective; if there are none
    and the run failed, of the last job but the champion's, which fails no run. Those that were kept at the
    job's end are not read again.
    """
    jobs = [step for step in found["steps"] if runs.log_job(step)]
    told = [step for step in jobs if step.get("failure_reason") or _is_unreported(step)]
    if not told and found["status"] == "failed":
        told = [step for step in jobs if step["step"] not in _OF_CHAMPION][-1:]
    for step in told:
        if not step.get("log_tail"):
            step["log_tail"] = log_tails.kept(step_log(target, step))
    return found


def _is_unreported(step: dict[str, Any]) -> bool:
    """Tell whether a training job completed and did not report the objective."""
    return str(step.get("remark") or "").startswith(selection.UNREPORTED)


def log_lines(target: Target, group: str, stream_prefix: str = "") -> Iterator[str]:
    """Yield the lines of all streams of a log group that begin with a prefix."""
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
    """Return the log of the job that a step ran."""
    group, job = step.get("log_group"), runs.log_job(step)
    return list(log_lines(target, group, f"{job}/")) if group and job else []


def physical_id(target: Target, logical: str) -> str:
    """Return the name of a resource of the stack."""
    answer = target.call(
        "cloudformation", "describe_stack_resource", StackName=target.stack, LogicalResourceId=logical
    )
    return str(answer["StackResourceDetail"]["PhysicalResourceId"])


def function_log(target: Target, function: str) -> list[str]:
    """Return the log of a function of the stack, named by its folder."""
    return list(log_lines(target, function_group(target, function)))


def function_group(target: Target, function: str) -> str:
    """Return the log group of a function; raises CommandError if there is no such function."""
    names = {path.parent.name for path in (REPOSITORY / "functions").glob("*/app.py")}
    # One folder is three functions.
    sizes = {f"run_job_{size}" for size in ("small", "medium", "large")}
    named = sorted((names - {"run_job"}) | sizes)
    if function not in named:
        listed = f"Functions: {', '.join(named)}."
        raise unknown(f"there is no function {function!r}", function, named, listed)
    logical = "".join(part.capitalize() for part in function.split("_")) + "Function"
    configuration = target.call(
        "lambda", "get_function_configuration", FunctionName=physical_id(target, logical)
    )
    group = configuration.get("LoggingConfig", {}).get("LogGroup")
    return str(group or f"/aws/lambda/{configuration['FunctionName']}")


def endpoint_log(target: Target, endpoint_name: str) -> list[str]:
    """Return the log of an endpoint's model server; raises CommandError if there is no such endpoint."""
    lines = list(log_lines(target, endpoint_group(endpoint_name)))
    if not lines:
        check_endpoint(target, endpoint_name)
    return lines


def endpoint_group(endpoint_name: str) -> str:
    return f"/aws/sagemaker/Endpoints/{endpoint_name}"


def check_endpoint(target: Target, endpoint_name: str) -> None:
    """Raise CommandError, which lists the stack's endpoints, if there is no such endpoint."""
    if target.cloud.endpoints.describe_endpoint(endpoint_name) is not None:
        return
    names = [
        row["endpoint_name"]
        for name in pipelines.pipeline_names(target.cloud)
        for row in stages.stages(target.cloud, name)
    ]
    listed = f"Endpoints of this stack: {', '.join(names) or 'none yet'}."
    raise unknown(f"there is no endpoint {endpoint_name!r}", endpoint_name, names, listed)
