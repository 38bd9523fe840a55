"""`sluice status` and `predict`: show and ask what serves now."""

from __future__ import annotations

import re
import sys
import uuid
from pathlib import Path
from typing import Annotated, Any

import typer

from sluice.domain import failures, wording
from sluice.domain.config import restore
from sluice.domain.config.models import Serve
from sluice.domain.release import answers
from sluice.domain.release import scaling as rules
from sluice.domain.release.errors import SmokeTestFailedError
from sluice.services import building, views
from sluice.services.release import deploying, model_packages, releasing
from sluice_cli import lookup, outlook
from sluice_cli.data_commands import print_waiting
from sluice_cli.errors import EXIT_USAGE, CommandError
from sluice_cli.options import Json, Pipeline, example, show
from sluice_cli.output import err, escape, hint, invocation, lasting, out, print_json, short, since, styled
from sluice_cli.paths import a_file
from sluice_cli.reasons import first_reasons, remarks, way_on
from sluice_cli.target import Target

serving_app = typer.Typer()
# `sluice data list --quarantined` has all of a reason.
_REASON = 200
# So many objects of no pipeline are shown.
_UNCLAIMED = 20
_JSON = "application/json"
_DIGEST = re.compile("[0-9a-f]{64}")


@serving_app.command(epilog=example("sluice status reviews-sentiment"))
def status(context: typer.Context, pipeline: Pipeline = None, as_json: Json = False) -> None:
    """Show what runs, what serves, what waits and what happened last."""
    target = context.obj.target()
    names = (
        [lookup.the_pipeline(target, pipeline)] if pipeline else views.pipelines.pipeline_names(target.cloud)
    )
    found = [views.pipelines.status(target.cloud, name) for name in names]
    unclaimed = views.pipelines.unclaimed(target.cloud, _UNCLAIMED)

    def text() -> None:
        for item in found:
            print_status(item)
        for item in unclaimed:
            out.print(f"[yellow]unclaimed[/] {escape(item['key'])}: {escape(item['reason'])}")
        if len(unclaimed) == _UNCLAIMED:
            out.print("  perhaps more: a push of their pipeline takes them all up")
        if not found:
            out.print("no pipelines yet: `sluice push DIR` makes one")

    show({"pipelines": found, "unclaimed": unclaimed}, as_json, text)


def _print_last_run(item: dict[str, Any]) -> None:
    """Print the newest run, and which of its steps cannot start yet."""
    last = item["last_run"]
    if last:
        out.print("  last run", last["run_id"], styled(last["status"]), since(last))
        if said := first_reasons(last):
            out.print(f"    [yellow]•[/] {escape(said)}")
        if way := way_on(last, item["pipeline"]):
            out.print(f"    `{invocation.command(way[0])}` {way[1]}")
    for step in item["waiting_steps"]:
        out.print(f"  [yellow]waits[/] {step['step']}: {escape(failures.plain(step['waits_for']))}")


def _print_last_release(last: dict[str, Any] | None) -> None:
    """Print the newest release if it is running or failed, and why: no other command tells."""
    if last is None or last.get("status") == "released":
        return
    out.print("  last release", last["release_id"], styled(last["status"]), since(last))
    for reason in last.get("reasons") or []:
        out.print(f"    [yellow]•[/] {escape(failures.plain(str(reason)))}")
    if again := last.get("command"):
        out.print(f"    `{invocation.command(again)}` tries it again")


def _print_recoveries(item: dict[str, Any], stage: dict[str, Any]) -> None:
    """Print how far a rollback is that alarms or a rejection ask for, as long as they do."""
    fires = any(alarm["state"] == "ALARM" for alarm in stage["alarms"])
    for each in stage["recoveries"]:
        if not (fires if each["fault"] == "alarm" else stage["is_rejected"]):
            continue
        if each["problem"]:
            next_step = invocation.command(each["command"])
            out.print(f"    [red]rollback impossible[/]: {escape(each['problem'])}; next: `{next_step}`")
        elif each["attempt"]:
            tried = f"attempt {each['attempt']} of {each['attempts']}"
            last = item["last_release"] or {}
            ended = last.get("status") if last.get("release_id") == each["release_id"] else "running"
            doing = "rolling back" if ended == "running" else f"rollback {ended}"
            out.print(f"    [yellow]{doing}[/]: {tried}, {each['release_id']}")


def _print_stage(item: dict[str, Any], stage: dict[str, Any]) -> None:
    """Print what serves on a stage, and what guards it."""
    if stage["live_version"] is None and stage["endpoint_status"] == "missing":
        out.print(f"  {stage['stage']}: nothing, there is no endpoint")
        return
    version = f"v{stage['live_version']}" if stage["live_version"] is not None else "nothing"
    if stage["live_group"] not in (None, item["group"]):
        version += f" of the group {stage['live_group']}"
    if stage["is_batch"]:
        lists = invocation.command(f"batch list {item['pipeline']}")
        out.print(f"  {stage['stage']}: {version} scores batches (`{lists}`)")
    else:
        named = f"  {stage['stage']}: {version} on {stage['endpoint_name']}"
        out.print(named, styled(stage["endpoint_status"]))
    if deviation := stage["deviation"]:
        _print_deviation(deviation, version)
    _print_release(item, stage, version)
    _print_scaling(stage["scaling"])
    for alarm in stage["alarms"]:
        out.print(f"    alarm {alarm['alarm']}", styled(alarm["state"]))
    if hold := stage["hold"]:
        ends = invocation.command(hold["command"])
        out.print(
            f"    [yellow]{hold['why']}[/] {lasting(hold['since'])}: {escape(hold['reason'])};"
            f" `{ends}` ends that"
        )
    _print_recoveries(item, stage)
    for fault in stage["guard_faults"]:
        out.print(f"    [red]unguarded[/]: the alarm {escape(fault)}; reconcile puts it back")


def _print_release(item: dict[str, Any], stage: dict[str, Any], version: str) -> None:
    """Print what is being released, or that nothing could be after a rejection."""
    if stage["releasing"]:
        doing = "releasing" if stage["takes_back"] is None else f"taking v{stage['takes_back']} back:"
        out.print(f"    {doing} {stage['releasing']}")
        if shadow := stage["shadow"]:
            trying = f"v{shadow['version']} answers too, for nobody"
            out.print(f"    [cyan]shadow[/]: {trying}: {escape(shadow['said'])}")
    elif stage["is_rejected"]:
        ends = invocation.command(f"retire {item['pipeline']} --stage {stage['stage']}")
        out.print(
            f"    [red]rejected[/]: {version} still serves, as there was nothing to put back: approve"
            f" a version that works, or `{ends}`"
        )


def _print_deviation(deviation: dict[str, Any], version: str) -> None:
    """Print how an endpoint differs from its live release, and what a person can do: nothing else does."""
    for fault in deviation["faults"]:
        out.print(f"    [red]has deviated[/] {lasting(deviation['since'])}: {escape(fault)}")
    back, known_good, nothing = (f"`{invocation.command(each)}`" for each in deviation["commands"])
    out.print(f"      what was done by hand stays: {back} puts {version} back,")
    out.print(f"      {known_good} the last known good, {nothing} nothing")


def _print_scaling(scaling: dict[str, Any] | None) -> None:
    """Print how much an endpoint can serve, unless it is one instance that nobody scales."""
    if scaling is None:
        return
    words = rules.described(scaling)
    if len(words) > 1 or scaling["instances"] != 1:
        out.print("   ", escape(", ".join(words)))
    for fault in scaling["faults"]:
        out.print(f"    [red]not scaled[/]: {escape(fault)}; reconcile puts it right")


def print_status(item: dict[str, Any]) -> None:
    """Print one pipeline for people."""
    out.print(f"[bold]{item['pipeline']}[/] project {short(item['project_version'])}")
    _print_last_run(item)
    _print_last_release(item["last_release"])
    _print_data(item)
    for line in outlook.lines(item["costs"]):
        out.print(f"  {line}")
    for stage in item["stages"]:
        _print_stage(item, stage)
    for decision in item["awaited"]:
        where = f" to {decision['stage']}" if decision["stage"] else ""
        where += f" ({escape(decision['held'])})" if decision.get("held") else ""
        out.print(
            f"  [yellow]awaits you[/]: {decision['what']} of {decision['model']}{where},"
            f" {lasting(decision['since'])}; `{invocation.command(decision['command'])}`"
        )
        for remark in remarks(decision):
            out.print(f"    it was {escape(remark)}")
    print_waiting(item)
    for recall in item.get("recalls") or ():
        _print_recall(recall)
    for arrival in item["quarantined"]:
        said = escape(wording.shorten(arrival["reason"], _REASON))
        out.print(f"  [yellow]quarantined[/] {escape(arrival['key'])}: {said}")
    for entry in item["timeline"]:
        subject = short(entry["subject"]) if _DIGEST.fullmatch(entry["subject"]) else entry["subject"]
        out.print(f"  {entry['at']}  {escape(subject)}  {escape(entry['event'])}", style="dim")


def _print_data(item: dict[str, Any]) -> None:
    """Print what is in the data set that the next build begins with, and how many objects are in none yet."""
    if held := item["data_set"]:
        rows = "" if held["rows"] is None else f", {wording.count(held['rows'], 'row')}"
        out.print(
            f"  data set {short(held['dataset_version'])}: {wording.count(held['objects'], 'object')}{rows}"
        )
    others = {name: count for name, count in sorted(item["arrivals"].items()) if name != "included"}
    said = ", ".join(f"{wording.number(count)} {wording.objects(name)}" for name, count in others.items())
    if said or not held:
        out.print(f"  objects  {said or 'none yet'}")


def _print_recall(recall: dict[str, Any]) -> None:
    told = f": {recall['reason']}" if recall["reason"] else ""
    state = (
        f"{recall['run_id']} made {recall['model']} without it, which awaits you"
        if recall["model"]
        else "no model was built without it yet"
    )
    out.print(f"  [yellow]recalled[/] {escape(recall['key'] + told)}; {escape(state)}")


def invoke(
    target: Target, endpoint: str, body: bytes, content_type: str, accept: str, inference_id: str
) -> dict[str, Any]:
    """Invoke an endpoint; raises CommandError with the model's answer if that is an error."""
    runtime = target.client("sagemaker-runtime")
    try:
        answer: dict[str, Any] = runtime.invoke_endpoint(
            EndpointName=endpoint,
            Body=body,
            ContentType=content_type,
            Accept=accept,
            InferenceId=inference_id,
        )
    except runtime.exceptions.ModelError as error:
        status, said = error.response["OriginalStatusCode"], error.response["OriginalMessage"]
        raise CommandError(
            f"{endpoint} answered {status}: {said.strip()[:2000]}",
            hint=f"next: `sluice logs --endpoint {endpoint}` shows what its script printed.",
        ) from error
    return answer


@serving_app.command(epilog=example("""sluice predict reviews-sentiment '{"reviews": ["tastes great"]}'"""))
def predict(
    context: typer.Context,
    pipeline: Annotated[str, typer.Argument(help="The pipeline.")],
    data: Annotated[str | None, typer.Argument(help="The request's body; default: stdin or --file.")] = None,
    file: Annotated[Path | None, typer.Option(help="Read the body from a file.")] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="Ask what the sample of the model's project asks (serve.sample).")
    ] = False,
    stage: Annotated[str, typer.Option(help="Which stage's endpoint.")] = "production",
    content_type: Annotated[
        str | None, typer.Option(help="The body's MIME type; default: serve.content_type of its project.")
    ] = None,
    accept: Annotated[
        str | None, typer.Option(help="The answer's MIME type; default: serve.accept of its project.")
    ] = None,
    inference_id: Annotated[
        str | None, typer.Option(help="The id by which labels find the prediction; default: a new one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask the live model for a prediction."""
    if sample and (data is not None or file is not None):
        raise CommandError("give a body or --sample, not both", exit_code=EXIT_USAGE)
    target = context.obj.target()
    pipeline = lookup.the_pipeline(target, pipeline)
    serving = _serving(target, pipeline, stage)
    serve = _serve(target, pipeline, serving)
    types = (
        content_type or (serve.content_type if serve else _JSON),
        accept or (serve.accept if serve else _JSON),
    )
    body = _sample(target, pipeline, serving) if sample else _body(data, file)
    identity = inference_id or str(uuid.uuid4())
    answer = invoke(target, serving["endpoint_name"], body, *types, identity)
    result = {
        "prediction": _parse_body(answer["Body"].read()),
        "variant": answer["InvokedProductionVariant"],
        "model_version": serving["live_version"],
        "endpoint_name": serving["endpoint_name"],
        "inference_id": identity,
    }

    def text() -> None:
        print_json(result["prediction"])
        hint(f"inference id: {identity}")

    show(result, as_json, text)


def _serving(target: Target, pipeline: str, stage: str) -> dict[str, Any]:
    """Return a stage whose endpoint can be asked; raises CommandError."""
    rows = views.stages.stages(target.cloud, pipeline)
    found = lookup.stage_among(rows, pipeline, stage) if rows else None
    if found is None or found["live"] is None:
        raise CommandError(
            f"nothing serves on {pipeline}/{stage} yet", hint=f"`sluice approve {pipeline}` releases a model."
        )
    if found["is_batch"]:
        raise CommandError(
            f"{pipeline}/{stage} has no endpoint to ask",
            hint=f"`sluice batch run {pipeline} FILE` has a file scored by the model that is live.",
            exit_code=EXIT_USAGE,
        )
    return found


def _serve(target: Target, pipeline: str, serving: dict[str, Any]) -> Serve | None:
    """Return how the live model's project says it is asked; None if that is gone."""
    live = deploying.find_deployment(target.cloud, pipeline, serving["stage"], serving["live"])
    config = releasing.live_config(target.cloud, live) if live else None
    return config.serve if config else None


def _sample(target: Target, pipeline: str, serving: dict[str, Any]) -> bytes:
    """Return the request by which the live model's release was tested; raises CommandError without one."""
    run = building.find_run(target.cloud, pipeline, serving["run_id"]) if serving["run_id"] else None
    if run is None:
        version = f"{pipeline} v{serving['live_version']}"
        raise CommandError(f"no run of this stack made {version}: there is no sample")
    config = building.find_project(target.cloud, pipeline, run.project_version).config
    try:
        return model_packages.project_sample(target.cloud, pipeline, run.project_version, restore(config))
    except (FileNotFoundError, SmokeTestFailedError) as error:
        raise CommandError(f"there is no sample: {error}") from error


def _body(data: str | None, file: Path | None) -> bytes:
    if file is not None:
        return a_file(file).read_bytes()
    if data is None and sys.stdin.isatty():
        err.print("[dim]reading the request's body from here; end it with Ctrl-D[/]")
    return (sys.stdin.read() if data is None else data).encode()


def _parse_body(body: bytes) -> Any:
    """Parse a response body as JSON, or return it as text: with NaN in it, it is not JSON."""
    try:
        return answers.parse_json(body)
    except answers.NotJsonError:
        return body.decode(errors="replace")
