"""`sluice lineage`: where a model came from, and what came from a data set version or an object."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.text import Text
from rich.tree import Tree

from sluice.domain import wording
from sluice.domain.build import sources
from sluice.services import tracing
from sluice.services.views import lineage as views
from sluice.services.views import pipelines
from sluice_cli import lookup
from sluice_cli.errors import EXIT_USAGE, CommandError
from sluice_cli.options import Json, example, show
from sluice_cli.output import escape, hint, out, short, styled
from sluice_cli.release_commands import MODEL_HELP
from sluice_cli.target import Target

lineage_app = typer.Typer()
# So many packages and artifacts are printed; --json has all.
_SHOWN = 5


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
    problems = list[CommandError]()
    for name in names:
        try:
            return name, lookup.the_dataset_version(target, name, version)["dataset_version"]
        except CommandError as error:
            problems.append(error)
    raise (
        problems[0]
        if len(problems) == 1
        else CommandError(
            f"no pipeline has one data set version that begins with {version}",
            hint="`sluice dataset list PIPELINE` lists them.",
            exit_code=EXIT_USAGE,
        )
    )


# ----------------------------------------------------------------------------------------------- a model


def _print_model(found: dict[str, Any]) -> None:
    tree = Tree(_told(found))
    run = found["run"]
    _add_serving(tree, found)
    made = tree.add(
        Text.assemble(
            "run ",
            (run["run_id"], "bold"),
            f" ({run['cause'] or 'cause unknown'}, by ",
            run["actor"] or "?",
            ")",
        )
    )
    _add_dataset(made, found["dataset"])
    _add_project(made, found)
    for step in found["steps"]:
        if step.get("job_name") or step["artifacts"]:
            _add_step(made, step, found)
    for environment in found["environments"]:
        _add_environment(made, environment)
    image = found["image"]
    made.add(
        _plain(
            f"served by {image['uri']}" + (f" {image['digest']}" if image["digest"] else ", no digest known")
        )
    )
    at = tree
    for champion in found["champions"]:
        of_run = f" of {champion['run_id']}" if champion.get("run_id") else ""
        at = at.add(_plain(f"compared with {champion['model']}{of_run}"))
        if champion.get("problem"):
            at.add(_plain(champion["problem"]))
    out.print(tree)
    if not found["manifest"]["is_intact"]:
        out.print(f"[red]differs[/] the run manifest {escape(found['manifest']['uri'])}: it was changed")
    hint(f"next: `sluice manifest verify {found['model']}` reads all of it again")


def _told(model: Mapping[str, Any]) -> Text:
    decided = f" by {model['approver']}" if model.get("approver") else ""
    return Text.assemble((str(model["model"]), "bold"), " ", styled(model["approval_status"]), decided)


def _add_serving(node: Tree, model: Mapping[str, Any]) -> None:
    for live in model["live_on"]:
        node.add(_plain(f"serves on {live['endpoint_name']} ({live['stage']}) since {live['promoted_at']}"))


def _add_dataset(node: Tree, dataset: Mapping[str, Any]) -> None:
    count = wording.count(dataset["objects"], "object")
    at = node.add(_plain(f"data set {short(dataset['version'])}: {count}, {dataset['rows']} rows"))
    _add_objects(at, dataset["shown"], dataset["objects"])
    if dataset["parent"]:
        at.add(_plain(f"grown from {short(dataset['parent'])}"))


def _add_objects(node: Tree, shown: Sequence[Mapping[str, Any]] | None, total: int | None) -> None:
    if shown is None:
        node.add(_plain("its list of objects is gone"))
        return
    for obj in shown[:_SHOWN]:
        new = " (new)" if obj.get("is_new") else ""
        node.add(_plain(f"{obj['key']} {short(obj['sha256'])}, version {obj['version_id']}{new}"))
    if total is not None and total > len(shown[:_SHOWN]):
        node.add(_plain(f"and {total - len(shown[:_SHOWN])} more"))


def _add_project(node: Tree, found: Mapping[str, Any]) -> None:
    project = found["project"]
    at = node.add(_plain(f"project {short(project['version'])}"))
    at.add(_plain(sources.described(project["source"])))
    if project["source"].get("remote"):
        at.add(_plain(project["source"]["remote"]))
    if framework := project["framework"]:
        at.add(_plain(" ".join(map(str, filter(None, framework.values())))))
    for name, value in found["overrides"].items():
        at.add(_plain(f"{name} = {value} (by hand)"))


def _add_step(node: Tree, step: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    chosen = ", chosen" if step["step"] == found["candidate"] else ""
    metrics = ", ".join(f"{name} {value}" for name, value in (step.get("metrics") or {}).items())
    at = node.add(_plain(" ".join(filter(None, (f"{step['step']}{chosen}", metrics and f"({metrics})")))))
    if chosen:
        for name, value in (found["parameters"].get("train") or {}).items():
            at.add(_plain(f"{name} = {value}"))
    _add_limited(
        at, (f"{each['name']} {short(each['sha256']) or 'not hashed'}" for each in step["artifacts"])
    )


def _add_environment(node: Tree, environment: Mapping[str, Any]) -> None:
    digest = environment["environment"] or environment["image_digest"]
    told = f"environment {short(digest)}" if digest else "environment without a digest"
    python = f", Python {environment['python']}" if environment["python"] else ""
    at = node.add(_plain(f"{told}{python}, {environment['image']} ({', '.join(environment['steps'])})"))
    if environment["packages"] is None:
        at.add(_plain("its packages are not known"))
    else:
        _add_limited(at, (f"{name} {version}" for name, version in environment["packages"].items()))


def _add_limited(node: Tree, texts: Iterable[str]) -> None:
    listed = [*texts]
    for each in listed[:_SHOWN]:
        node.add(_plain(each))
    if len(listed) > _SHOWN:
        node.add(_plain(f"and {len(listed) - _SHOWN} more"))


def _plain(text: str) -> Text:
    """Return foreign text without markup or control characters."""
    return Text.from_markup(escape(" ".join(text.split())))


# ------------------------------------------------------------------------------------------------- data


def _print_dataset(found: dict[str, Any]) -> None:
    tree = Tree(_plain(f"data set {short(found['dataset_version'])} of {found['pipeline']}"))
    _add_runs(tree, found["runs"])
    if not found["runs"]:
        tree.add("no run read it")
    out.print(tree)
    _say_whether_indexed(found)
    hint(
        f"next: `sluice dataset show {found['pipeline']} {short(found['dataset_version'])}` lists its objects"
    )


def _add_runs(node: Tree, runs: Sequence[Mapping[str, Any]]) -> None:
    for run in runs:
        at = node.add(Text.assemble("run ", run["run_id"], " ", styled(run["status"])))
        if model := run["model"]:
            _add_serving(at.add(_told(model)), model)


def _print_object(found: dict[str, Any]) -> None:
    tree = Tree(_plain(found["key"]))
    for each in found["object_versions"]:
        told = f"version {each['version_id']} {short(each['sha256'])}, arrived {each['arrived_at']}, "
        at = tree.add(Text.assemble(_plain(told), " ", styled(each["status"])))
        if each["reason"]:
            at.add(_plain(each["reason"]))
        for dataset in found["dataset_versions"]:
            if dataset["version_id"] == each["version_id"]:
                _add_runs(at.add(_plain(f"data set {short(dataset['dataset_version'])}")), dataset["runs"])
    out.print(tree)
    if not found["dataset_versions"]:
        out.print("no data set version holds it")
    for version in found["missing"]:
        out.print(f"[yellow]unknown[/] data set {short(version)}: its list of objects is gone")
    _say_whether_indexed(found)
    if found["next_after"]:
        where = f"--object {shlex.quote(found['key'])} --after {shlex.quote(found['next_after'])}"
        hint(f"more: `sluice lineage {where}`")
    else:
        hint(f"next: `sluice recall {shlex.quote(found['key'])}` rebuilds without it")


def _say_whether_indexed(found: Mapping[str, Any]) -> None:
    if not found["is_indexed"]:
        out.print(
            "found by listing every run and version: the pipeline is older than their index", style="dim"
        )
