"""`sluice report`: save the data report of a run or a data set as a page, and open it."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer

from sluice.services import building
from sluice.services.views import data, pipelines
from sluice.services.views import gates as gate_views
from sluice_cli import lookup
from sluice_cli import target as targets
from sluice_cli.errors import EXIT_USAGE, CommandError
from sluice_cli.options import Json, show
from sluice_cli.output import hint, out, short
from sluice_cli.target import Target

PAGE = "report.html"
# So many versions are looked at for one that was judged: a few may be under way, or have no object.
_LOOKED_AT = 10


def report(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A run, or a pipeline.")],
    version: Annotated[
        str | None, typer.Argument(help="A data set version of the pipeline, or its first digits.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--out", help="The file to write the page to.", dir_okay=False)
    ] = None,
    of_gates: Annotated[
        bool, typer.Option("--gates", help="How the run's gates were judged, in place of its data.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Open the data report of a run, or of a pipeline's newest or named data set version.

    With --gates the page shows how the gates of a run were judged: values, intervals, limits and slices.

    Writes the page to a file and prints its path. On a terminal, opens it in a browser unless --out is given.
    """
    target = context.obj.target()
    if of_gates:
        if version is not None:
            raise CommandError("--gates takes a run, and no data set version", exit_code=EXIT_USAGE)
        result, page = _gates(target, name)
        file = output or targets.home() / "reports" / f"{result['run_id']}-gates.html"
    else:
        pipeline, dataset = _data_set(target, name, version)
        page, uri = _page(target, pipeline, dataset)
        file = output or targets.home() / "reports" / f"{pipeline}-{short(dataset['dataset_version'])}.html"
        result = {
            "pipeline": pipeline,
            "dataset_version": dataset["dataset_version"],
            "status": dataset["status"],
            "uri": uri,
        }
    save(file, page)
    result["file"] = str(file)

    def text() -> None:
        open_page(file, is_opened=output is None)

    show(result, as_json, text)


def open_page(file: Path, *, is_opened: bool) -> None:
    """Print a page's path, and open it in a browser on a terminal that has one."""
    out.out(str(file), highlight=False)
    if is_opened and out.is_terminal and has_browser() and webbrowser.open(file.resolve().as_uri()):
        hint("opened in the browser")


def save(file: Path, page: bytes) -> None:
    """Write a page; raises CommandError if it cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(page)
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error.strerror}", exit_code=EXIT_USAGE) from error


def _gates(target: Target, named: str) -> tuple[dict[str, Any], bytes]:
    """Return what is said of the gates of a run, or of a pipeline's newest, and their page."""
    from sluice.quality.report import gates_page

    run = lookup.named_run(target, named)
    document = gate_views.document(target.cloud, run.pipeline, run.run_id)
    if document is None:
        raise CommandError(
            f"the gates of {run.run_id} were not judged: it is {run.status}",
            hint=f"`sluice run {run.run_id}` shows how far it came.",
        )
    result = {"pipeline": run.pipeline, "run_id": run.run_id, **document}
    return result, gates_page.render(document).encode()


def _data_set(target: Target, name: str, version: str | None) -> tuple[str, dict[str, Any]]:
    """Return the pipeline and the data set version that the arguments name."""
    if version is not None:
        return name, lookup.the_dataset_version(target, name, version)
    pipeline = name.rpartition("-")[0]
    run = building.find_run(target.cloud, pipeline, name) if pipeline else None
    if run is None:
        names = pipelines.pipeline_names(target.cloud)
        if pipeline in names and name not in names:
            raise lookup.no_run(target, name)
        pipeline = lookup.the_pipeline(target, name)
        return pipeline, _newest(target, pipeline)
    if not run.dataset_version:
        raise CommandError(f"{name} has no data set yet", hint=f"`sluice run {name}` shows how far it is.")
    return pipeline, lookup.the_dataset_version(target, pipeline, run.dataset_version)


def _newest(target: Target, pipeline: str) -> dict[str, Any]:
    """Return the newest data set version that was judged, and say so if it is not the newest of all."""
    found = data.dataset_versions(target.cloud, pipeline, limit=_LOOKED_AT)
    if not found:
        raise CommandError(
            f"{pipeline} has no data set yet", hint=f"`sluice upload {pipeline} FILE` makes one."
        )
    newest, judged = found[0], next((each for each in found if each["status"] != "new"), found[0])
    if judged is not newest:
        hint(f"the newest data set, {short(newest['dataset_version'])}, was not judged: this is one before")
    return judged


def _page(target: Target, pipeline: str, dataset: dict[str, Any]) -> tuple[bytes, str]:
    uri = f"{dataset['manifest_uri'].rpartition('/')[0]}/{PAGE}"
    try:
        return target.cloud.objects.read(uri), uri
    except FileNotFoundError:
        version = short(dataset["dataset_version"])
        raise CommandError(
            f"the data set {version} has no report: it is {dataset['status']}",
            hint=f"`sluice dataset show {pipeline} {version}` says more.",
        ) from None


def has_browser() -> bool:
    """Tell whether a browser can show a page: on a server a text browser might take the terminal."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in displays)
