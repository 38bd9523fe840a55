"""`sluice push`, `upload`, `runs` and `run`: from data to a registered model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from sluice.domain import wording
from sluice.domain.build import sources
from sluice.services import views
from sluice_cli import log_streams, lookup, next_builds, project, reasons, uploads, waiting
from sluice_cli.errors import EXIT_FAILED, EXIT_REJECTED
from sluice_cli.options import PAGE, Json, Limit, Pipeline, RunName, Wait, example, hint_more, show
from sluice_cli.output import age, duration, err, escape, following, hint, out, print_table, short, styled
from sluice_cli.run_page import print_explained, print_run
from sluice_cli.target import Target

# How `upload --wait` exits by the end of its run; other ends are successes.
RUN_EXITS = {
    "failed": EXIT_FAILED,
    "stopped": EXIT_FAILED,
    "rejected": EXIT_REJECTED,
    "data_rejected": EXIT_REJECTED,
    "differed": EXIT_REJECTED,
}

build_app = typer.Typer()


@build_app.command(epilog=example("sluice push examples/reviews"))
def push(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="The folder with pipeline.yaml.")] = Path(),
    replace_champion: Annotated[
        bool, typer.Option("--replace-champion", help="Do not compare the next model with the live one.")
    ] = False,
    python: Annotated[
        str | None,
        typer.Option(
            help="A Python with SageMaker's SDK, which makes the pipeline that build.pipeline names.",
            envvar="SLUICE_SDK_PYTHON",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a project and make it the pipeline's current version.

    With --replace-champion the first model of this version is not compared with the live one. Use it when
    the live one can no longer be scored. Limits still hold. The pipeline rebuilds from the same data.
    """
    target = context.obj.target()
    with err.status("pushing"):
        result = project.push(
            target,
            folder,
            lambda what: err.print(f"[dim]{escape(what)}[/]"),
            replace_champion=replace_champion,
            python=python,
        )

    def text() -> None:
        already = " (unchanged)" if result["unchanged"] else ""
        out.print(
            f"[green]pushed[/] {result['pipeline']} version {short(result['project_version'])}{already}"
        )
        out.print(f"  {escape(sources.described(result['source']))}", style="dim")
        if replace_champion:
            out.print("  its first model is not compared with the one that serves")
        for warning in result["warnings"]:
            out.print(f"  [yellow]•[/] {escape(warning)}")
        out.print(f"  {escape(result['build']['why'])}")
        if result["build"]["starts"]:
            hint(f"next: `sluice runs {result['pipeline']}` shows it")
        else:
            hint(f"next: `sluice upload {result['pipeline']} FILE`: the model trains on it")

    show(result, as_json, text)


@build_app.command(epilog=example("sluice upload reviews-sentiment part-1.csv --wait"))
def upload(
    context: typer.Context,
    pipeline: Annotated[str, typer.Argument(help="The pipeline whose data this is.")],
    files: Annotated[list[Path], typer.Argument(help="Files, or folders with everything in them.")],
    key: Annotated[
        str | None, typer.Option(help="Name the object this, below the pipeline's prefix.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be uploaded.")] = False,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Upload data; a run starts automatically when the batch is complete.

    Files of a folder keep their paths relative to it. Links are followed. Hidden files are left out, and what
    S3 cannot hold, such as empty folders: --dry-run lists all. A marker or manifest file goes last.

    With --wait it exits with 0 if the run registered a model or found nothing new, 1 if the run failed,
    and 3 if the data or the model were rejected.
    """
    target = context.obj.target()
    pipeline = lookup.the_pipeline(target, pipeline)
    planned = project.plan_upload(target, pipeline, files, key=key)
    if dry_run:
        show(planned, as_json, lambda: _print_planned(planned))
        return
    known = waiting.run_ids(target, pipeline)
    uploaded = project.upload_planned(target, planned)
    result: dict[str, Any] = {"uploaded": uploaded, "left_out": planned["left_out"]}
    if not as_json:
        _print_uploaded(uploaded, planned["left_out"])
    is_set_aside = uploads.are_set_aside(uploaded)
    if wait and not is_set_aside:
        is_it = waiting.may_read(target, pipeline, uploaded)
        result["run"] = follow_run(target, pipeline, known, is_it)
    elif not is_set_aside:
        result["build"] = next_builds.after_upload(target, pipeline, uploaded)

    def text() -> None:
        if is_set_aside:
            out.print("no run starts, as all of it is set aside")
            hint(f"next: `sluice data list {pipeline} --quarantined` shows it")
        elif wait:
            print_run(result["run"])
        else:
            _print_build(pipeline, result["build"])

    show(result, as_json, text)
    if wait:
        code = EXIT_REJECTED if is_set_aside else RUN_EXITS.get(result["run"]["status"])
        if code:
            raise typer.Exit(code)


def _print_planned(planned: dict[str, Any]) -> None:
    for file in planned["files"]:
        out.print(f"{escape(file['path'])} to {escape(file['uri'])} ({_size_and_fate(file)})")
    _print_left_out(planned["left_out"])
    total = sum(file["size_bytes"] for file in planned["files"])
    files = wording.count(len(planned["files"]), "file")
    out.print(f"{files}, {wording.count(total, 'byte')}; nothing was uploaded")
    hint("next: the same without --dry-run uploads them")


def _print_uploaded(uploaded: list[dict[str, Any]], left_out: list[dict[str, str]]) -> None:
    for item in uploaded:
        out.print(f"[green]uploaded[/] {escape(item['uri'])} ({_size_and_fate(item)})")
    _print_left_out(left_out)


def _print_build(pipeline: str, build: Mapping[str, Any]) -> None:
    """Say what an upload starts, or what it waits for."""
    if build["starts"]:
        hint(f"next: `sluice runs {pipeline}` shows the run it starts")
        return
    out.print(escape(build["why"]))
    hint(f"next: `sluice status {pipeline}` shows what waits")


def _size_and_fate(file: Mapping[str, Any]) -> str:
    size = wording.count(file["size_bytes"], "byte")
    return f"{size}, {escape(file['fate'])}" if file["fate"] else size


def _print_left_out(left_out: list[dict[str, str]]) -> None:
    for each in left_out:
        out.print(f"[yellow]left out[/] {escape(each['path'])} ({each['why']})")


def follow_run(
    target: Target,
    pipeline: str,
    known: set[str],
    is_it: Callable[[Mapping[str, Any]], bool] = lambda run: True,
    *,
    timeout_s: float = 1200,
) -> dict[str, Any]:
    """Wait for the next run that is the awaited one, for so long at most, and follow it to its end."""
    with err.status("waiting for the run to start") as status:

        def say(why: str) -> None:
            # Print it too: not every output has a status line.
            err.print(f"[dim]waiting: {escape(why)}[/]")

        run_id = waiting.new_run(target, pipeline, known, say, is_it=is_it, timeout_s=timeout_s)
        ended = waiting.run_end(target, pipeline, run_id, following(status, run_id))
    return log_streams.with_log_tails(target, ended)


@build_app.command(epilog=example("sluice runs reviews-sentiment"))
def runs(
    context: typer.Context,
    pipeline: Pipeline = None,
    limit: Limit = PAGE,
    after: Annotated[str | None, typer.Option(help="Continue behind this run.")] = None,
    as_json: Json = False,
) -> None:
    """List the runs of a pipeline, newest first."""
    target = context.obj.target()
    name = lookup.the_pipeline(target, pipeline)
    if after is not None:
        lookup.the_run(target, after)
    found = views.runs.runs(target.cloud, name, limit, after)

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
                    reasons.first_reasons(item),
                )
                for item in found
            ),
            empty=f"no runs yet: `sluice upload {name} FILE` starts one",
        )
        if found:
            hint(f"next: `sluice run {found[0]['run_id']}` shows its steps")
        hint_more(f"runs {name}", found, limit, lambda item: str(item["run_id"]))

    show(found, as_json, text)


@build_app.command(epilog=example("sluice run reviews-sentiment-00001"))
def run(
    context: typer.Context,
    named: RunName,
    explain_cache: Annotated[
        bool, typer.Option("--explain-cache", help="Say of each step why it was computed, or whose it uses.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show a run: its steps, metrics, gates and timeline.

    With --explain-cache it says instead which inputs of each step changed since the runs before, and from
    what to what.
    """
    target = context.obj.target()
    run_id = lookup.named_run(target, named).run_id
    found = lookup.the_run(target, run_id)
    if explain_cache:
        explained = views.reuse.explain(target.cloud, found["pipeline"], run_id)
        show(explained, as_json, lambda: print_explained(found, explained))
        return
    found = log_streams.with_log_tails(target, found)
    show(found, as_json, lambda: print_run(found))
