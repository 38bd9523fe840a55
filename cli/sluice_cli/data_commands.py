"""`sluice dataset ...` and `sluice data ...`: the versions models are built on, and what arrived for them."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from typing import Annotated, Any

import typer

from sluice.domain import wording
from sluice.services.data import arrivals
from sluice.services.views import data, uploads
from sluice_cli import data_release, lookup, next_builds, reasons
from sluice_cli.errors import EXIT_REJECTED
from sluice_cli.groups import group
from sluice_cli.options import PAGE, Json, Limit, Pipeline, Reason, example, hint_more, show
from sluice_cli.output import age, escape, hint, out, print_table, short, styled

# So many of a batch's missing parts are printed.
SHOWN = 10

dataset_app = group("Data set versions, which models are built on.")
data_app = group("Uploads: what arrived, what waits, what is quarantined.")
Version = Annotated[
    str | None, typer.Argument(help="The version or its first digits; by default the newest.")
]
PipelineName = Annotated[str, typer.Argument(help="The pipeline's name.")]


@dataset_app.command("list", epilog=example("sluice dataset list reviews-sentiment"))
def list_versions(
    context: typer.Context,
    pipeline: Pipeline = None,
    limit: Limit = PAGE,
    after: Annotated[str | None, typer.Option(help="Continue behind this version.")] = None,
    as_json: Json = False,
) -> None:
    """List a pipeline's data set versions, newest first."""
    target = context.obj.target()
    name = lookup.the_pipeline(target, pipeline)
    last = lookup.the_dataset_version(target, name, after)["dataset_version"] if after else None
    found = data.dataset_versions(target.cloud, name, limit, last)

    def text() -> None:
        print_table(
            ("version", "status", "objects", "bytes", "rows", "made", "why"),
            (
                (
                    short(item["dataset_version"]),
                    styled(item["status"]),
                    item["objects"],
                    item["size_bytes"],
                    item.get("rows"),
                    age(item["created_at"]),
                    reasons.first_reasons(item),
                )
                for item in found
            ),
            empty=f"no data set versions yet: `sluice upload {name} FILE` makes one",
        )
        if found:
            hint(f"next: `sluice dataset show {name} {short(found[0]['dataset_version'])}`")
        hint_more(f"dataset list {name}", found, limit, lambda item: str(short(item["dataset_version"])))

    show(found, as_json, text)


@dataset_app.command("show", epilog=example("sluice dataset show reviews-sentiment 9f2c1a0b77de"))
def show_version(
    context: typer.Context, pipeline: PipelineName, version: Version = None, as_json: Json = False
) -> None:
    """Show a data set version: its objects, its verdict and the location of its report."""
    target = context.obj.target()
    name = lookup.the_pipeline(target, pipeline)
    found = data.dataset(target.cloud, name, lookup.the_dataset_version(target, name, version))

    def text() -> None:
        out.print(f"[bold]{found['dataset_version']}[/]", styled(found["status"]), age(found["created_at"]))
        for reason in found.get("reasons") or []:
            out.print(f"  [yellow]•[/] {escape(str(reason))}")
        print_table(
            ("key", "bytes", "rows", "sha256", "object version"),
            (
                (obj["key"], obj["size_bytes"], obj.get("rows"), short(obj["sha256"]), obj["version_id"])
                for obj in found["objects"]
            ),
            empty="no objects",
        )
        out.print(f"report {found.get('report_uri') or 'not yet'}")
        hint(f"next: `sluice dataset verify {pipeline} {short(found['dataset_version'])}`")

    show(found, as_json, text)


@dataset_app.command("verify", epilog=example("sluice dataset verify reviews-sentiment 9f2c1a0b77de"))
def verify_version(
    context: typer.Context, pipeline: PipelineName, version: Version = None, as_json: Json = False
) -> None:
    """Read every object of a version again; exits 3 if any was changed, overwritten or deleted."""
    target = context.obj.target()
    name = lookup.the_pipeline(target, pipeline)
    found = data.verify(target.cloud, name, lookup.the_dataset_version(target, name, version))
    changed = [obj for obj in found["objects"] if obj["condition"] != "intact"]

    def text() -> None:
        if not found["is_manifest_intact"]:
            out.print("[red]differs[/] the manifest: its digest is not the version")
        for obj in changed:
            out.print(styled(obj["condition"]), f"{escape(obj['key'])} (version {obj['version_id']})")
        if found["is_intact"]:
            out.print(f"[green]intact[/]: {wording.count(len(found['objects']), 'object')}")
        if kept := [obj for obj in changed if obj["condition"] in {"overwritten", "deleted"}]:
            bucket, key = target.outputs["DataBucketName"], shlex.quote(kept[0]["key"])
            fetch = f"aws s3api get-object --bucket {bucket} --key {key} --version-id {kept[0]['version_id']}"
            hint(f"next: `{fetch} FILE` has what the version was made of; upload it again")

    show(found, as_json, text)
    if not found["is_intact"]:
        raise typer.Exit(EXIT_REJECTED)


@data_app.command("list", epilog=example("sluice data list reviews-sentiment --quarantined"))
def list_data(
    context: typer.Context,
    pipeline: Pipeline = None,
    quarantined: Annotated[
        bool, typer.Option("--quarantined", help="Only what is quarantined and not yet replaced.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = uploads.PAGE,
    after: Annotated[
        str | None, typer.Option(help="Continue where the last page ended: its `next_after`.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List what arrived, and what incomplete batches still lack.

    Waiting objects come first, then quarantined ones, then those in a data set; a page is sorted by time.
    """
    target = context.obj.target()
    name = lookup.the_pipeline(target, pipeline)
    page_of = uploads.quarantined if quarantined else uploads.page
    page = page_of(target.cloud, name, after, limit)
    found = [*map(uploads.shown, page.items)]
    waiting = {} if quarantined or after else data.what_waits(target.cloud, name)
    gone = set() if quarantined else set(arrivals.deleted(target.cloud, name))
    last = {item["key"]: item["arrived_at"] for item in sorted(found, key=lambda each: each["arrived_at"])}

    def text() -> None:
        print_table(
            ("key", "status", "bytes", "arrived", "data set", "why"),
            (
                (
                    item["key"],
                    styled(item["status"]),
                    item["size_bytes"],
                    age(item["arrived_at"]),
                    short(item.get("dataset_version")),
                    item.get("reason") or _since(item, last[item["key"]], gone),
                )
                for item in found
            ),
            empty="nothing is quarantined" if quarantined else f"nothing yet: `sluice upload {name} FILE`",
        )
        print_waiting(waiting)
        if quarantined and found:
            hint(f"next: upload a better one, or `sluice data release {found[0]['key']}`")
        if page.after:
            option = " --quarantined" if quarantined else ""
            hint(f"more: `sluice data list {name}{option} --after {shlex.quote(page.after)}`")

    show({"pipeline": name, "arrivals": found, "next_after": page.after, **waiting}, as_json, text)


def _since(item: dict[str, Any], last_at: str, deleted: Collection[str]) -> str | None:
    """Say what became of an object since it was included: `last_at` is when its key's last one arrived.

    `deleted` are those that were deleted since the last data set, up to a page of them.
    """
    if item["arrived_at"] < last_at:
        return "overwritten since"
    if not item.get("gone"):
        return None
    if item["key"] in deleted:
        return "deleted since; the next build leaves it out"
    return "deleted since" if len(deleted) == arrivals.PAGE else "deleted since; no longer in the data set"


def print_waiting(waiting: dict[str, Any]) -> None:
    """Print when and why the next build starts, and what incomplete batches still lack."""
    if build := waiting.get("next_build"):
        out.print(f"  [cyan]next build[/] {build['at']}: {escape(build['reason'])}")
    if failed := waiting.get("failed"):
        count = wording.count(failed["objects"], "object")
        them = "it" if failed["objects"] == 1 else "them"
        out.print(
            f"  [yellow]waits[/] {count} of {failed['run_id']}, which did not finish:"
            f" the next `sluice upload`, or a push of a changed project, builds {them}"
        )
    if gone := waiting.get("deleted"):
        named = ", ".join(escape(key) for key in gone[:SHOWN]) + (", ..." if len(gone) > SHOWN else "")
        count = wording.count(len(gone), "object")
        out.print(
            f"  [yellow]deleted[/] {count} since the last data set: the next run trains without: {named}"
        )
    for batch in waiting.get("incomplete", []):
        count = wording.count(batch["objects"], "object")
        out.print(f"  [yellow]incomplete[/] {escape(batch['folder'])} ({count})")
        for missing in batch["missing"][:SHOWN]:
            out.print(f"    {escape(missing)}")
        if len(batch["missing"]) > SHOWN:
            out.print(f"    and {len(batch['missing']) - SHOWN} more")


@data_app.command("release", epilog=example("sluice data release reviews-sentiment/part-7.csv -m 'checked'"))
def release_data(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="The object's key, with the pipeline's folder.")],
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Release a quarantined object into the next data set version, where it is checked again."""
    target = context.obj.target()
    result = data_release.release(target, key, reason)
    pipeline = result["pipeline"]
    result["held"] = next_builds.held_by_budget(target, pipeline)

    def text() -> None:
        out.print(f"[green]released[/] {escape(key)}: the next data set version has it")
        if result["held"]:
            out.print(escape(result["held"]))
            hint(f"next: `sluice start {pipeline}` builds at once")
        else:
            hint(f"next: `sluice runs {pipeline}` shows the run it starts")

    show(result, as_json, text)
