"""The `sluice` command line."""

from __future__ import annotations

import json
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.markup import escape

from sluice.domain import names
from sluice.domain.config import ConfigError
from sluice.domain.projects import ProjectError
from sluice_cli import cloud, project, views, waiting
from sluice_cli import target as targets
from sluice_cli.data_commands import data_app, dataset_app, print_incomplete
from sluice_cli.errors import CommandError
from sluice_cli.options import Json, Pipeline, Reason, example, show
from sluice_cli.output import age, duration, err, hint, out, print_json, print_table, short, styled
from sluice_cli.target import Target
from sluice_cli.validation import schema_app, validate

app = typer.Typer(
    name="sluice",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Upload data and the model retrains; approve it and it deploys; an alarm rolls it back.\n\n"
    "Commands talk to the local cloud when it runs (`sluice up`), else to AWS with your usual credentials.",
    epilog="Start here: `sluice demo`, or `sluice up && sluice init my-model && sluice push my-model`.",
)
app.add_typer(dataset_app, name="dataset")
app.add_typer(data_app, name="data")
app.add_typer(schema_app, name="schema")
app.command(epilog=example("sluice validate part-1.csv --pipeline examples/reviews"))(validate)


@dataclass(frozen=True)
class Options:
    """Where commands act, as given before the command's name."""

    where: str
    stack: str | None
    profile: str | None
    region: str | None

    def target(self) -> Target:
        """The target, announced on stderr before anything is done to it."""
        found = targets.resolve(where=self.where, stack=self.stack, profile=self.profile, region=self.region)
        hint(f"target: {found.description}")
        return found


Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for what this sets going to end.")]


@app.callback()
def options(
    context: typer.Context,
    local: Annotated[bool, typer.Option("--local", help="Use the local cloud, and nothing else.")] = False,
    aws: Annotated[bool, typer.Option("--aws", help="Use AWS even while the local cloud runs.")] = False,
    stack: Annotated[str | None, typer.Option(help="The stack's name.", envvar="SLUICE_STACK")] = None,
    profile: Annotated[str | None, typer.Option(help="An AWS profile; implies AWS.")] = None,
    region: Annotated[str | None, typer.Option(help="An AWS region.")] = None,
) -> None:
    """Options before the command's name choose the target."""
    if local and aws:
        raise typer.BadParameter("--local and --aws exclude each other")
    where = "local" if local else "aws" if aws else "auto"
    context.obj = Options(where, stack, profile, region)


@app.command(epilog=example("sluice up --port 4566"))
def up(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1 (0: any free one).")] = 0,
    auth: Annotated[bool, typer.Option("--auth", help="Enforce IAM as AWS does.")] = False,
    as_json: Json = False,
) -> None:
    """Start the local cloud on this machine and deploy the template to it."""
    stack = context.obj.stack or targets.DEFAULT_STACK
    with err.status("starting the local cloud") as status:
        ready = cloud.start(port=port, auth=auth)
        status.update("sam build")
        cloud.build()
        status.update(f"sam deploy to {ready['endpoint_url']}")
        cloud.deploy(ready, stack=stack)
    outputs = targets.resolve(where="local", stack=stack, profile=None, region=None).outputs
    result = {"endpoint_url": ready["endpoint_url"], "pid": ready["pid"], "stack": stack, "outputs": outputs}

    def text() -> None:
        out.print(f"[green]up[/]: local cloud on {ready['endpoint_url']}, stack {stack}")
        hint("next: `sluice push examples/reviews`, or `sluice init my-model`; `sluice down` ends it")

    show(result, as_json, text)


@app.command(epilog=example("sluice down"))
def down(as_json: Json = False) -> None:
    """Stop the local cloud and all that runs in it."""
    stopped = cloud.stop()
    show(
        {"stopped": stopped},
        as_json,
        lambda: out.print("stopped" if stopped else "the local cloud was not running"),
    )


@app.command(epilog=example("sluice init my-model --example reviews"))
def init(
    name: Annotated[str, typer.Argument(help="The new pipeline's and folder's name.")],
    example_name: Annotated[str, typer.Option("--example", help="Which example to copy.")] = "reviews",
    as_json: Json = False,
) -> None:
    """Copy a working example to a new folder."""
    folder = project.init(name, example_name, Path.cwd())

    def text() -> None:
        out.print(f"made [bold]{folder}[/]")
        hint(f"next: edit {folder.name}/pipeline.yaml, then `sluice push {folder.name}`")

    show({"folder": str(folder)}, as_json, text)


@app.command(epilog=example("sluice push examples/reviews"))
def push(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="The folder with pipeline.yaml.")] = Path(),
    as_json: Json = False,
) -> None:
    """Check a project and make it the pipeline's current version."""
    target = context.obj.target()
    with err.status("pushing"):
        result = project.push(target, folder)

    def text() -> None:
        already = " (unchanged)" if result["unchanged"] else ""
        out.print(
            f"[green]pushed[/] {result['pipeline']} version {short(result['project_version'])}{already}"
        )
        hint(f"next: `sluice upload {result['pipeline']} FILE`: the model trains on it")

    show(result, as_json, text)


@app.command(epilog=example("sluice upload reviews-sentiment part-1.csv --wait"))
def upload(
    context: typer.Context,
    pipeline: Annotated[str, typer.Argument(help="The pipeline whose data this is.")],
    files: Annotated[list[Path], typer.Argument(help="Files to upload.")],
    key: Annotated[
        str | None, typer.Option(help="Another name for the object below the pipeline's prefix.")
    ] = None,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Upload data; a run starts by itself when the batch is complete."""
    target = context.obj.target()
    if pipeline not in (known_pipelines := views.pipeline_names(target)):
        listed = ", ".join(known_pipelines) or "none yet: `sluice push DIR` makes one"
        raise CommandError(f"there is no pipeline {pipeline!r}", hint=f"Pipelines: {listed}.", exit_code=2)
    known = waiting.run_ids(target, pipeline)
    uploaded = project.upload(target, pipeline, files, key=key)
    result: dict[str, Any] = {"uploaded": uploaded}
    if wait:
        result["run"] = follow_run(target, pipeline, known)

    def text() -> None:
        for item in uploaded:
            out.print(f"[green]uploaded[/] {item['uri']} ({item['size_bytes']} bytes)")
        if wait:
            print_run(result["run"])
        else:
            hint(f"next: `sluice runs {pipeline}` shows the run it starts")

    show(result, as_json, text)
    if wait and result["run"]["status"] == "failed":
        raise typer.Exit(1)


def follow_run(target: Target, pipeline: str, known: set[str]) -> dict[str, Any]:
    """Wait for the next run and follow it to its end."""
    with err.status("waiting for the run to start") as status:
        run_id = waiting.new_run(target, pipeline, known, timeout_s=1200)
        return waiting.run_end(target, pipeline, run_id, lambda doing: status.update(f"{run_id}: {doing}"))


@app.command(epilog=example("sluice runs reviews-sentiment"))
def runs(context: typer.Context, pipeline: Pipeline = None, as_json: Json = False) -> None:
    """List the runs of a pipeline, newest first."""
    target = context.obj.target()
    name = views.the_pipeline(target, pipeline)
    found = views.runs(target, name)

    def text() -> None:
        print_table(
            ("run", "status", "dataset", "project", "took", "started", "why"),
            (
                (
                    item["run_id"],
                    styled(item["status"]),
                    short(item.get("dataset_version")),
                    short(item.get("project_version")),
                    duration(item.get("started_at"), item.get("ended_at")),
                    age(item.get("started_at")),
                    views.first_reasons(item),
                )
                for item in found
            ),
            empty=f"no runs yet: `sluice upload {name} FILE` starts one",
        )
        if found:
            hint(f"next: `sluice run {found[0]['run_id']}` shows its steps")

    show(found, as_json, text)


@app.command(epilog=example("sluice run reviews-sentiment-00001"))
def run(
    context: typer.Context,
    run_id: Annotated[str, typer.Argument(help="The run's id, as `sluice runs` lists it.")],
    as_json: Json = False,
) -> None:
    """Show a run: its steps, metrics, gates and timeline."""
    target = context.obj.target()
    found = views.run(target, run_id)
    for step in found["steps"]:
        if step.get("failure_reason"):
            step["log_tail"] = views.step_log(target, step)[-20:]
    show(found, as_json, lambda: print_run(found))


def print_run(found: dict[str, Any]) -> None:
    """A run as a person reads it."""
    out.print(f"[bold]{found['run_id']}[/]", styled(found["status"]), age(found.get("started_at")))
    print_table(
        ("step", "status", "took", "metrics"),
        (
            (
                step["step"],
                styled(step.get("status", "")),
                duration(step.get("started_at"), step.get("ended_at")),
                ", ".join(
                    f"{name} {float(value):.4g}" for name, value in (step.get("metrics") or {}).items()
                ),
            )
            for step in found["steps"]
        ),
        empty="no steps yet",
    )
    for reason in found.get("reasons") or []:
        out.print(f"  [yellow]•[/] {escape(str(reason))}")
    for step in found["steps"]:
        if step.get("failure_reason"):
            out.print(f"[red]{step['step']}[/]: {escape(step['failure_reason'])}")
            for line in step.get("log_tail", []):
                out.print(f"    {escape(line)}", style="dim")
    for entry in found["timeline"]:
        out.print(f"  {entry['at']}  {escape(entry['event'])}", style="dim")
    if found.get("model_package_arn"):
        version = found["model_package_arn"].rpartition("/")[2]
        hint(f"next: `sluice approve {found['pipeline']}/{version}` releases it")


@app.command(epilog=example("sluice models reviews-sentiment"))
def models(context: typer.Context, pipeline: Pipeline = None, as_json: Json = False) -> None:
    """List the model versions in the registry and where each is live."""
    target = context.obj.target()
    name = views.the_pipeline(target, pipeline)
    found = views.models(target, name)

    def text() -> None:
        print_table(
            ("model", "approval", "live on", "run", "registered"),
            (
                (
                    row["model"],
                    styled(row["approval_status"]),
                    row["live_on"],
                    row["run_id"],
                    age(row["created_at"]),
                )
                for row in found
            ),
            empty=f"no models yet: `sluice upload {name} FILE` trains one",
        )

    show(found, as_json, text)


def decide(target: Target, arn: str, status: str, reason: str) -> None:
    """Write a decision to the registry, as Studio or the AWS CLI would."""
    description = {"ApprovalDescription": reason} if reason else {}
    target.call(
        "sagemaker", "update_model_package", ModelPackageArn=arn, ModelApprovalStatus=status, **description
    )


def pipeline_of(target: Target, arn: str) -> str:
    """The pipeline a package belongs to."""
    item = target.catalog.get({"pk": f"PACKAGE#{arn}", "sk": "PACKAGE"})
    if item is None:
        raise CommandError(f"{arn} was not registered by this stack, so nothing will be released")
    return str(item["pipeline"])


@app.command(epilog=example("sluice approve reviews-sentiment/1 -m 'accuracy is fine' --wait"))
def approve(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(help="PIPELINE/VERSION, PIPELINE (its newest version), or a package ARN.")
    ],
    stage: Annotated[
        str | None, typer.Option(help="Release an approved version to a stage that waits for a person.")
    ] = None,
    reason: Reason = "",
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Approve a model version in the registry; its release starts by itself."""
    target = context.obj.target()
    arn = views.model_arn(target, model)
    pipeline = pipeline_of(target, arn)
    known = waiting.release_ids(target, pipeline)
    result: dict[str, Any] = {"model_package_arn": arn, "status": "Approved"}
    if stage is None:
        decide(target, arn, "Approved", reason)
    else:
        command = {"package_arn": arn, "stages": [stage], "reason": reason or "sluice approve --stage"}
        result["release_id"] = start_release(target, pipeline, int(arn.rpartition("/")[2]), command)
    follow_release(target, pipeline, known, result, wait=wait)
    finish_decision(result, as_json, f"next: `sluice status {pipeline}` shows the release")


def start_release(target: Target, pipeline: str, version: int, command: dict[str, Any]) -> str:
    """Start a release by command, under a name of its own; returns its id."""
    release_id = names.release_id(pipeline, version, f"command#{uuid.uuid4()}")
    actor = target.call("sts", "get_caller_identity")["Arn"]
    request = {"pipeline": pipeline, "release_id": release_id, "cause": "command", "actor": actor, **command}
    target.call(
        "stepfunctions",
        "start_execution",
        stateMachineArn=target.outputs["ReleaseModelStateMachineArn"],
        name=release_id,
        input=json.dumps(request),
    )
    return release_id


@app.command(epilog=example("sluice reject reviews-sentiment/2 -m 'fails on long reviews'"))
def reject(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(help="PIPELINE/VERSION, PIPELINE (its newest version), or a package ARN.")
    ],
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Reject a model version in the registry; where it is live, the last known good is put back."""
    target = context.obj.target()
    arn = views.model_arn(target, model)
    decide(target, arn, "Rejected", reason)
    result = {"model_package_arn": arn, "status": "Rejected"}
    finish_decision(result, as_json, "next: `sluice status` shows what serves now")


@app.command(epilog=example("sluice rollback reviews-sentiment --stage production -m 'complaints' --wait"))
def rollback(
    context: typer.Context,
    pipeline: Pipeline = None,
    stage: Annotated[str, typer.Option(help="The stage to roll back.")] = "production",
    reason: Reason = "",
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Put a stage back to its last known good release."""
    target = context.obj.target()
    name = views.the_pipeline(target, pipeline)
    serving = {row["stage"]: row for row in views.stages(target, name)}
    if stage not in serving:
        listed = ", ".join(serving) or "none has been released yet"
        raise CommandError(f"{name} has no stage {stage!r}", hint=f"Stages: {listed}.", exit_code=2)
    known = waiting.release_ids(target, name)
    # What serves now is meant: the same command again must not go further back.
    live = serving[stage]
    command = {"stage": stage, "rolls_back": live["live"], "reason": reason or "sluice rollback"}
    release_id = start_release(target, name, live["live_version"] or 0, command)
    result: dict[str, Any] = {"release_id": release_id, "status": "started"}
    follow_release(target, name, known, result, wait=wait)
    finish_decision(result, as_json, f"next: `sluice status {name}` shows the release")


def follow_release(
    target: Target, pipeline: str, known: set[str], result: dict[str, Any], *, wait: bool
) -> None:
    """Add the release that a decision set going to the result, when it is waited for."""
    if wait:
        with err.status("waiting for the release") as status:
            result["release"] = waiting.release_end(target, pipeline, known, status.update)


def finish_decision(result: dict[str, Any], as_json: bool, next_step: str) -> None:
    """Print what a decision led to; exits 1 when its release did not get through."""
    release = result.get("release")

    def text() -> None:
        out.print(styled(result["status"]), result.get("model_package_arn") or result.get("release_id"))
        if release:
            out.print("release", release["release_id"], styled(release["status"]))
            for reason in release.get("reasons") or []:
                out.print(f"  [yellow]•[/] {escape(str(reason))}")
        hint(next_step)

    show(result, as_json, text)
    if release and release["status"] != "released":
        raise typer.Exit(1)


@app.command(epilog=example("sluice status reviews-sentiment"))
def status(context: typer.Context, pipeline: Pipeline = None, as_json: Json = False) -> None:
    """Show what runs, what serves, what waits and what happened last."""
    target = context.obj.target()
    names = [views.the_pipeline(target, pipeline)] if pipeline else views.pipeline_names(target)
    found = [views.status(target, name) for name in names]
    unclaimed = views.unclaimed(target)

    def text() -> None:
        for item in found:
            print_status(item)
        for item in unclaimed:
            out.print(f"[yellow]unclaimed[/] {escape(item['key'])}: {escape(item['reason'])}")
        if not found:
            out.print("no pipelines yet: `sluice push DIR` makes one")

    show({"pipelines": found, "unclaimed": unclaimed}, as_json, text)


def print_status(item: dict[str, Any]) -> None:
    """One pipeline as a person reads it."""
    out.print(f"[bold]{item['pipeline']}[/] project {short(item['project_version'])}")
    last = item["last_run"]
    if last:
        out.print("  last run", last["run_id"], styled(last["status"]), age(last.get("started_at")))
    arrivals = ", ".join(f"{count} {name}" for name, count in sorted(item["arrivals"].items()))
    out.print(f"  objects  {arrivals or 'none yet'}")
    for stage in item["stages"]:
        version = f"v{stage['live_version']}" if stage["live_version"] is not None else "nothing"
        out.print(
            f"  {stage['stage']}: {version} on {stage['endpoint_name']}", styled(stage["endpoint_status"])
        )
        if stage["releasing"]:
            out.print("    releasing", stage["releasing"])
        for alarm in stage["alarms"]:
            out.print(f"    alarm {alarm['alarm']}", styled(alarm["state"]))
    print_incomplete(item["incomplete"])
    for arrival in item["quarantined"]:
        out.print(f"  [yellow]quarantined[/] {escape(arrival['key'])}: {escape(arrival['reason'])}")
    for entry in item["timeline"]:
        out.print(f"  {entry['at']}  {escape(entry['subject'])}  {escape(entry['event'])}", style="dim")


@app.command(epilog=example("""sluice predict reviews-sentiment '{"reviews": ["tastes great"]}'"""))
def predict(
    context: typer.Context,
    pipeline: Annotated[str, typer.Argument(help="The pipeline.")],
    data: Annotated[
        str | None, typer.Argument(help="The request's body; without it, stdin or --file.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="Read the body from a file.")] = None,
    stage: Annotated[str, typer.Option(help="Which stage's endpoint.")] = "production",
    content_type: Annotated[str, typer.Option(help="The body's MIME type.")] = "application/json",
    accept: Annotated[str, typer.Option(help="The answer's MIME type.")] = "application/json",
    as_json: Json = False,
) -> None:
    """Ask the live model for a prediction."""
    target = context.obj.target()
    serving = {row["stage"]: row for row in views.stages(target, pipeline)}
    if stage not in serving or serving[stage]["live"] is None:
        raise CommandError(
            f"nothing serves on {pipeline}/{stage} yet", hint=f"`sluice approve {pipeline}` releases a model."
        )
    body = file.read_bytes() if file else (data if data is not None else sys.stdin.read()).encode()
    answer = target.call(
        "sagemaker-runtime",
        "invoke_endpoint",
        EndpointName=serving[stage]["endpoint_name"],
        Body=body,
        ContentType=content_type,
        Accept=accept,
    )
    result = {
        "prediction": views.parse_body(answer["Body"].read()),
        "variant": answer["InvokedProductionVariant"],
        "model_version": serving[stage]["live_version"],
        "endpoint_name": serving[stage]["endpoint_name"],
    }
    show(result, as_json, lambda: print_json(result["prediction"]))


@app.command(epilog=example("sluice logs reviews-sentiment-00001 --step train-0"))
def logs(
    context: typer.Context,
    run_id: Annotated[str | None, typer.Argument(help="A run: the logs of its jobs.")] = None,
    step: Annotated[str | None, typer.Option(help="One step of the run.")] = None,
    function: Annotated[
        str | None, typer.Option(help="One of the stack's functions, such as start_build.")
    ] = None,
    endpoint: Annotated[str | None, typer.Option(help="An endpoint: the log of its model server.")] = None,
    as_json: Json = False,
) -> None:
    """Print the logs of a run's jobs, of a function, or of an endpoint."""
    if sum(value is not None for value in (run_id, function, endpoint)) != 1:
        raise CommandError("give a run, --function or --endpoint", exit_code=2)
    target = context.obj.target()
    if function:
        found = {function: views.function_log(target, function)}
    elif endpoint:
        found = {endpoint: list(views.log_lines(target, f"/aws/sagemaker/Endpoints/{endpoint}"))}
    else:
        steps = [item for item in views.run(target, str(run_id))["steps"] if step in (None, item["step"])]
        found = {item["step"]: views.step_log(target, item) for item in steps if item.get("job_name")}

    def text() -> None:
        for name, lines in found.items():
            out.print(f"[bold]{escape(name)}[/]")
            for line in lines:
                out.print(escape(line))
        if not any(found.values()):
            hint("no log lines")

    show(found, as_json, text)


@app.command(epilog=example("sluice demo --json"))
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the local cloud running afterwards.")] = False,
    as_json: Json = False,
) -> None:
    """Play the whole loop on this machine: upload, retrain, approve, deploy, alarm, rollback."""
    from sluice_cli import demo as play

    report = play.demo(keep=keep, quiet=as_json)
    if as_json:
        print_json(report)
    if not report["ok"]:
        raise typer.Exit(1)


def fail(message: str, details: str, exit_code: int) -> NoReturn:
    """Say on stderr what went wrong and what to do, and end."""
    err.print(f"[red]error[/]: {escape(message)}")
    if details:
        hint(details)
    sys.exit(exit_code)


def main() -> None:
    """Run the command; errors a person can act on end in a sentence, not in a traceback."""
    try:
        app()
    except CommandError as error:
        fail(str(error), error.hint, error.exit_code)
    except (ConfigError, ProjectError) as error:
        fail(str(error), "Nothing was pushed. See docs/pipeline-yaml.md.", 2)
    except ClientError as error:
        fail(f"{error.operation_name}: {error.response['Error'].get('Message', error)}", "", 1)
    except BotoCoreError as error:
        fail(str(error), "Is the local cloud up (`sluice up`), or are AWS credentials set?", 1)
    except KeyboardInterrupt:
        fail("interrupted", "", 130)
