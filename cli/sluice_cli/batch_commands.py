"""`sluice batch run` and `list`: have files scored by the live model, and show what became of them."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Annotated, Any

import typer
from botocore.exceptions import ClientError

from sluice.catalog import keys
from sluice.catalog.records.releases import Deployment
from sluice.catalog.records.transforms import Input
from sluice.domain import money, wording
from sluice.domain.release import transforms
from sluice.ports import ObjectHead
from sluice.services.release import transform_ends, transforming
from sluice.services.views import batches
from sluice_cli import bus, lookup, waiting
from sluice_cli.errors import EXIT_FAILED, EXIT_USAGE, CommandError
from sluice_cli.groups import group
from sluice_cli.options import Json, Pipeline, Wait, example, show
from sluice_cli.output import age, err, escape, hint, out, print_table, styled, took
from sluice_cli.paths import a_file
from sluice_cli.target import Target

batch_app = group("Score files with the live model, without an endpoint.")
SCORED_S = 3600
_HEARD_S = 120
_S3 = "s3://"


@batch_app.command("run", epilog=example("sluice batch run reviews-sentiment november.csv --out answers.csv"))
def run(
    context: typer.Context,
    pipeline: Annotated[str, typer.Argument(help="The pipeline's name.")],
    source: Annotated[str, typer.Argument(help="A file, an S3 URI, or a name below batch/PIPELINE/.")],
    output: Annotated[
        Path | None, typer.Option("--out", help="The file to write the results to.", dir_okay=False)
    ] = None,
    wait: Wait = True,
    as_json: Json = False,
) -> None:
    """Have a file scored by the model that is live, now, whatever the schedule says.

    What this model has scored already is not scored again: its results are shown.
    """
    target = context.obj.target()
    name = lookup.the_pipeline(target, pipeline)
    live = _live(target, name)
    head = _placed(target, name, source)
    before = _input(target, name, head)
    is_scored = before is not None and before.status == "scored" and before.is_scored_by(live.model_id)
    due = None if is_scored else _ask(target, name, head, before)
    if not is_scored and (due or not wait):
        _show_awaited(name, head, due, output, as_json=as_json)
        return
    found = before if is_scored and before else _scored(target, name, head, before)
    result = _result(target, name, found)
    if output is not None:
        output.write_bytes(_results(target, found))
        result["file"] = str(output)

    def text() -> None:
        again = "was scored before" if is_scored else "scored"
        rows = wording.count(found.rows, "row") if found.rows is not None else "rows"
        out.print(
            f"[green]{again}[/]", f"{rows} by v{result['package_version']}:", escape(str(found.result_uri))
        )
        if output is not None:
            out.print("written to", escape(str(output)))
        for fault in result["faults"]:
            out.print(f"  [yellow]•[/] {escape(fault)}")

    show(result, as_json, text)


def _live(target: Target, pipeline: str) -> Deployment:
    live = transforming.find_live(target.cloud, pipeline)
    if live is None:
        raise CommandError(
            f"no stage of {pipeline} scores batches",
            hint="A project does so with serve.compute.batch, once a model of it is released: "
            f"`sluice status {pipeline}` shows what serves, `sluice predict` asks an endpoint.",
            exit_code=EXIT_USAGE,
        )
    return live


def _placed(target: Target, pipeline: str, source: str) -> ObjectHead:
    """Put the source below `batch/<pipeline>/`, unless it is there; returns the object."""
    objects, bucket, folder = target.cloud.objects, target.cloud.data_bucket, transforms.folder(pipeline)
    if source.startswith(_S3):
        given, _, key = source.removeprefix(_S3).partition("/")
        head = objects.head(given, key)
        if head is None:
            raise CommandError(f"there is no object {source}", exit_code=EXIT_USAGE)
        if given == bucket and key.startswith(folder):
            return head
        key = f"{folder}{key.rpartition('/')[2]}"
        objects.copy(head, f"{_S3}{bucket}/{key}")
    elif Path(source).exists():
        path = a_file(Path(source))
        key = f"{folder}{path.name}"
        objects.upload(path, f"{_S3}{bucket}/{key}")
    else:
        key = f"{folder}{source.removeprefix(folder)}"
    found = objects.head(bucket, key)
    if found is None:
        raise CommandError(
            f"there is neither a file {source} nor an object {_S3}{bucket}/{key}", exit_code=EXIT_USAGE
        )
    return found


def _input(target: Target, pipeline: str, head: ObjectHead) -> Input | None:
    item = target.catalog.get(keys.input_key(pipeline, head.key, head.version_id))
    return Input.of(item) if item else None


def _ask(target: Target, pipeline: str, head: ObjectHead, before: Input | None) -> str | None:
    """Ask for the input to be scored now, and wait until that is heard.

    Who may upload, and not ask, has it scored by its upload: returns when, if the project has a schedule.
    """
    request_id = str(uuid.uuid4())
    detail = {
        "stack": target.stack,
        "pipeline": pipeline,
        "key": head.key,
        "version_id": head.version_id,
        "request_id": request_id,
        "actor": target.call("sts", "get_caller_identity")["Arn"],
    }
    try:
        bus.announce(target.client("events"), "BatchRequested", detail)
    except bus.NotAllowedError as error:
        return _by_its_upload(target, pipeline, head, before, error)

    def look() -> bool | None:
        found = _input(target, pipeline, head)
        is_unusable = found is not None and found.transform_id is None and found.status == "refused"
        return True if found and (found.request_id == request_id or is_unusable) else None

    what = "the stack to answer (`sluice logs --function transform_batch` shows why)"
    waiting.until(look, timeout_s=_HEARD_S, what=what, otherwise=waiting.ASK_AGAIN)
    return None


def _by_its_upload(
    target: Target, pipeline: str, head: ObjectHead, before: Input | None, error: bus.NotAllowedError
) -> str | None:
    """Return when an upload is scored that nobody asks for, if not at once; raises CommandError if never."""
    if before is not None and before.status not in ("waiting", "taken"):
        raise CommandError(
            f"your role may not have {head.key} scored again: {error}",
            hint="Upload the file once more, which is scored by itself, or ask a developer or an operator.",
        ) from error
    hint("your role may upload, and not ask for a transform: the upload is scored by itself")
    due: str | None = batches.batches(target.cloud, pipeline, 1)["next_at"]
    return due


def _show_awaited(
    pipeline: str, head: ObjectHead, due: str | None, output: Path | None, *, as_json: bool
) -> None:
    """Show that an input waits; raises CommandError if its results were to be written now."""
    when = f"`sluice batch list {pipeline}` shows when it is scored"
    if due and output is not None:
        raise CommandError(
            f"{head.key} is uploaded, and scored from {due} on: there are no results to write yet", hint=when
        )
    result = {"pipeline": pipeline, "key": head.key, "version_id": head.version_id}
    result |= {"status": "waiting", "due_at": due} if due else {"status": "requested"}

    def text() -> None:
        if due:
            out.print(f"[yellow]waits[/] {escape(head.key)}: the next transform starts at {due}")
        hint(f"next: {when}")

    show(result, as_json, text)


def _results(target: Target, found: Input) -> bytes:
    uri = str(found.result_uri)
    try:
        return target.cloud.objects.read(uri)
    except ClientError as error:
        raise CommandError(
            f"{found.key} is scored, and your role may not read the results: {uri}",
            hint="A developer or an operator may.",
        ) from error


def _scored(target: Target, pipeline: str, head: ObjectHead, before: Input | None) -> Input:
    """Wait until a transform has scored the input, or could not; raises CommandError for why."""
    known = before.transform_id if before and before.status != "taken" else None

    def look() -> Input | None:
        found = _input(target, pipeline, head)
        if found is None or found.status == "refused":
            return found
        if found.status not in ("scored", "failed") or found.transform_id == known:
            return None
        by = transform_ends.find_transform(target.cloud, pipeline, str(found.transform_id))
        # One of several that failed together is tried alone.
        return None if by is not None and by.is_split else found

    with err.status("scoring; a transform job takes minutes on AWS"):
        found = waiting.until(look, timeout_s=SCORED_S, what=f"{head.key} to be scored")
    if found.status != "scored":
        raise CommandError(
            f"{head.key} was not scored: {found.reason}",
            hint=f"`sluice batch list {pipeline}` shows the transform; mend the file and upload it again, or "
            f"release another model and run `sluice batch run {pipeline} {head.key}`.",
            exit_code=EXIT_FAILED,
        )
    return found


def _result(target: Target, pipeline: str, found: Input) -> dict[str, Any]:
    by = transform_ends.find_transform(target.cloud, pipeline, str(found.transform_id))
    return {
        "pipeline": pipeline,
        "key": found.key,
        "version_id": found.version_id,
        "status": found.status,
        "rows": found.rows,
        "result_uri": found.result_uri,
        "transform_id": found.transform_id,
        "package_version": by.package_version if by else None,
        "cost_usd": by.cost_usd if by else None,
        "faults": list(by.faults) if by else [],
    }


@batch_app.command("list", epilog=example("sluice batch list reviews-sentiment"))
def list_batches(
    context: typer.Context,
    pipeline: Pipeline = None,
    limit: Annotated[int, typer.Option(min=1, help="How many transforms at most.")] = batches.TRANSFORMS,
    as_json: Json = False,
) -> None:
    """List the newest transforms: which model scored which files, where the results are, what it cost."""
    target = context.obj.target()
    name = lookup.the_pipeline(target, pipeline)
    found = batches.batches(target.cloud, name, limit)
    show(found, as_json, lambda: _print_batches(found))


def _print_batches(found: dict[str, Any]) -> None:
    by = f"v{found['package_version']} on {found['stage']}" if found["stage"] else "no stage"
    waits = wording.count(len(found["waiting"]), "file")
    out.print(
        f"{found['pipeline']}: {by} scores what is uploaded below {transforms.folder(found['pipeline'])}"
    )
    if found["waiting"]:
        until = f"until {found['in_flight']} ends" if found["in_flight"] else _due(found)
        out.print(f"  [yellow]waits[/] {waits} {until}")
    for aside in found["set_aside"]:
        out.print(f"  [red]set aside[/] {escape(aside['key'])}: {escape(aside['reason'])}")
    print_table(
        ("transform", "status", "model", "files", "rows", "cost", "took", "started"),
        [
            (
                each["transform_id"],
                styled(each["status"]),
                f"v{each['package_version']}",
                len(each.get("inputs") or ()),
                "-" if each.get("rows") is None else each["rows"],
                "-" if each.get("cost_usd") is None else money.money(each["cost_usd"]),
                took(each["took_s"]),
                age(each["started_at"]),
            )
            for each in found["transforms"]
        ],
        empty=_nothing_yet(found),
    )
    for each in found["transforms"]:
        for said in [each["reason"]] if each.get("reason") else each.get("faults") or ():
            out.print(f"  [yellow]•[/] {each['transform_id']}: {escape(said)}")
    if done := next((each for each in found["transforms"] if each["status"] == "completed"), None):
        hint(f"results of {done['transform_id']}: {done['output_uri']}/")


def _nothing_yet(found: dict[str, Any]) -> str:
    if found["stage"]:
        return f"nothing has been scored yet: `sluice batch run {found['pipeline']} FILE` does"
    return "nothing has been scored yet: a project that is to score files has serve.compute.batch"


def _due(found: dict[str, Any]) -> str:
    if not found["stage"]:
        return "until a model is released that scores batches"
    return f"until {found['next_at']}" if found["next_at"] else "for the next transform"
