"""`sluice lineage`: where a model came from, and what came from a data set version or an object."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from sluice.services.data import tracing
from sluice.services.views import data, pipelines
from sluice.services.views import lineage as views
from sluice_cli import lineage_tree, lookup
from sluice_cli.errors import EXIT_USAGE, CommandError
from sluice_cli.options import Json, example, show
from sluice_cli.output import hint, out, short
from sluice_cli.release_commands import MODEL_HELP
from sluice_cli.target import Target

_SHOWN = 5

lineage_app = typer.Typer()


@lineage_app.command(epilog=example("sluice lineage reviews-sentiment/2"))
def lineage(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(help=MODEL_HELP)] = None,
    dataset: Annotated[
        str | None, typer.Option(help="What came from a data set version (or its first digits).")
    ] = None,
    obj: Annotated[
        str | None, typer.Option("--object", help="What came from an object, by its key with the pipeline.")
    ] = None,
    openlineage: Annotated[
        bool, typer.Option("--openlineage", help="Print OpenLineage run events, one a line.")
    ] = False,
    limit: Annotated[
        int, typer.Option(min=1, help="Data set versions on a page of --object.")
    ] = tracing.PAGE,
    after: Annotated[
        str | None, typer.Option(help="Continue --object where a page ended: its `next_after`.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show where a model came from, or what came from data: versions, runs, models, endpoints."""
    if sum(each is not None for each in (model, dataset, obj)) != 1:
        raise CommandError(
            "name a model, or --dataset, or --object",
            hint="`sluice models` lists models, `sluice dataset list` data set versions.",
            exit_code=EXIT_USAGE,
        )
    if openlineage and model is None:
        raise CommandError("--openlineage is for a model", exit_code=EXIT_USAGE)
    target = context.obj.target()
    if model is not None:
        found = views.model(target.cloud, lookup.model_arn(target, model))
        if openlineage:
            _print_events(target, found["arn"])
        else:
            show(found, as_json, lambda: _print_model(found))
    elif dataset is not None:
        pipeline, version = _the_dataset(target, dataset)
        found = views.dataset(target.cloud, pipeline, version)
        show(found, as_json, lambda: _print_dataset(found))
    else:
        pipeline, key = lookup.the_object(target, str(obj))
        found = views.of_object(target.cloud, pipeline, key, after, limit)
        show(found, as_json, lambda: _print_object(found))


def _print_events(target: Target, arn: str) -> None:
    """Write standard events as JSON lines, which a collector takes one by one."""
    from sluice.domain.build import open_lineage

    _, _, stored = views.find_manifest(target.cloud, arn)
    for event in open_lineage.events(json.loads(stored), target.cloud.stack_name):
        out.out(json.dumps(event, sort_keys=True), highlight=False)


def _the_dataset(target: Target, version: str) -> tuple[str, str]:
    """Return the pipeline and the version that these digits name, of whatever pipeline."""
    names = pipelines.pipeline_names(target.cloud)
    if len(names) == 1:
        return names[0], lookup.the_dataset_version(target, names[0], version)["dataset_version"]
    found = [
        (name, item["dataset_version"])
        for name in (names if lookup.are_digits(version) else ())
        for item in data.versions_beginning(target.cloud, name, version)
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise CommandError(
            f"no pipeline has a data set version that begins with {version}",
            hint="`sluice dataset list PIPELINE` lists them.",
            exit_code=EXIT_USAGE,
        )
    several = "several pipelines" if len({name for name, _ in found}) > 1 else found[0][0]
    listed = ", ".join(f"{short(each)} of {name}" for name, each in found[:_SHOWN])
    raise CommandError(
        f"{len(found)} data set versions of {several} begin with {version}",
        hint=f"Name more digits: {listed}{', …' if len(found) > _SHOWN else ''}.",
        exit_code=EXIT_USAGE,
    )


def _print_model(found: dict[str, Any]) -> None:
    out.print(lineage_tree.of_model(found))
    hint(f"next: `sluice manifest verify {found['model']}` reads all of it again")


def _print_dataset(found: dict[str, Any]) -> None:
    out.print(lineage_tree.of_dataset(found))
    _say_whether_indexed(found)
    hint(
        f"next: `sluice dataset show {found['pipeline']} {short(found['dataset_version'])}` lists its objects"
    )


def _print_object(found: dict[str, Any]) -> None:
    out.print(lineage_tree.of_object(found))
    if not found["dataset_versions"]:
        out.print("no data set version holds it")
    for version in found["missing"]:
        out.print(f"[yellow]unknown[/] data set {short(version)}: its list of objects is lost")
    _say_whether_indexed(found)
    if found["next_after"]:
        where = f"--object {shlex.quote(found['key'])} --after {shlex.quote(found['next_after'])}"
        hint(f"more: `sluice lineage {where}`")
    elif {each["status"] for each in found["object_versions"]} == {"quarantined"}:
        hint(f"next: `sluice data list {found['pipeline']} --quarantined` says why it is set aside")
    else:
        hint(f"next: `sluice recall {shlex.quote(found['key'])}` rebuilds without it")


def _say_whether_indexed(found: Mapping[str, Any]) -> None:
    if not found["is_indexed"]:
        out.print(
            "found by listing every run and version: the pipeline is older than their index", style="dim"
        )
