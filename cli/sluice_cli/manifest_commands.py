"""`sluice manifest show` and `verify`: the evidence of how a model was made, and whether it still holds."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.text import Text

from sluice.domain import wording
from sluice.domain.build import sources
from sluice.services.data import verifying
from sluice.services.data.verifying import Finding
from sluice.services.views import lineage as views
from sluice_cli import lookup
from sluice_cli.errors import EXIT_REJECTED
from sluice_cli.groups import group
from sluice_cli.options import Json, example, show
from sluice_cli.output import err, escape, hint, out, print_table, printable, short
from sluice_cli.release_commands import MODEL_HELP

manifest_app = group("Run manifests: the evidence of how models were made.")
Model = Annotated[str, typer.Argument(help=MODEL_HELP)]
_STYLES = {"intact": "green", "unhashed": "yellow", "differs": "red", "gone": "red"}


@manifest_app.command("show", epilog=example("sluice manifest show reviews-sentiment/2 --json"))
def show_manifest(context: typer.Context, model: Model, as_json: Json = False) -> None:
    """Show a model's run manifest: inputs, parameters, artifacts. --json prints it as it is stored."""
    target = context.obj.target()
    _, run, stored = views.find_manifest(target.cloud, lookup.model_arn(target, model))
    document = json.loads(stored)

    def text() -> None:
        inputs = document["inputs"]
        told = [
            ("manifest", f"{run.manifest_uri} ({document['format']})"),
            ("sha256", str(run.manifest_sha256)),
            ("run", f"{document['run_id']}, {document['created_at']}"),
            ("cause", f"{document.get('cause') or 'unknown'}, by {document.get('actor') or 'unknown'}"),
            ("data set", f"{inputs['dataset_version']} ({wording.count(inputs['dataset_rows'], 'row')})"),
            ("project", inputs["project_version"]),
            ("source", sources.described(inputs.get("source"))),
            ("image", document["serving"]["container"]["Image"]),
            ("image digest", run.image_digest or "the registry gave none"),
            ("parameters", json.dumps(document["parameters"])),
            *([("overrides", json.dumps(document["overrides"]))] if document.get("overrides") else []),
            *((f"packages of {', '.join(steps)}", packages) for packages, steps in _packages(document)),
        ]
        for name, value in told:
            out.print(Text.assemble((f"{name}: ", "dim"), printable(value)))
        print_table(
            ("artifact", "step", "bytes", "sha256"),
            (
                (each["name"], each["step"], each["size_bytes"], short(each["sha256"]) or "not hashed")
                for each in document["artifacts"]
            ),
            empty="no artifacts",
        )
        hint(f"next: `sluice manifest verify {model}` reads all of it again")

    show(document, as_json, text)


def _packages(document: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return packages as they are told, each list with all steps that had it."""
    found: dict[str, list[str]] = {}
    for each in document.get("environments") or []:
        packages = each["packages"]
        listed = "not known" if packages is None else ", ".join(f"{n} {v}" for n, v in packages.items())
        found.setdefault(listed, []).extend(each["steps"])
    return [*found.items()]


@manifest_app.command("verify", epilog=example("sluice manifest verify reviews-sentiment/2"))
def verify_manifest(
    context: typer.Context,
    model: Model,
    with_data: Annotated[
        bool, typer.Option("--data/--no-data", help="Read the objects of the data set too.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Read again all that a model's manifest names, by version; exits 3 if anything differs or is gone.

    Artifacts, the project, environments and each object of the data set are hashed again. An image is not
    read: its registry keeps it under its digest.
    """
    target = context.obj.target()
    arn = lookup.model_arn(target, model)
    _, run = views.find_run(target.cloud, arn)
    found, checks = verifying.plan(target.cloud, arn, run, with_data=with_data)
    total = len(found) + len(checks)
    with err.status("reading") as status:
        for finding in verifying.run_all(checks):
            found.append(finding)
            size = wording.count(sum(each.size_bytes for each in found), "byte")
            status.update(f"read {len(found)} of {total}, {size}")
    is_intact = all(finding.is_sound for finding in found)
    result = {
        "model_package_arn": arn,
        "run_id": run.run_id,
        "is_intact": is_intact,
        "with_data": with_data,
        "findings": [asdict(finding) for finding in found],
    }
    show(result, as_json, lambda: _print_findings(model, found, with_data=with_data))
    if not is_intact:
        raise typer.Exit(EXIT_REJECTED)


def _print_findings(model: str, found: list[Finding], *, with_data: bool) -> None:
    for finding in found:
        if finding.condition != "intact":
            detail = f": {finding.detail}" if finding.detail else ""
            told = f"{finding.kind} {finding.name}{detail}"
            out.print(Text(finding.condition, style=_STYLES[finding.condition]), escape(told), soft_wrap=True)
    if all(finding.is_sound for finding in found):
        counts = Counter(finding.kind for finding in found if finding.condition == "intact")
        out.print(
            "[green]intact[/]:", ", ".join(wording.count(count, kind) for kind, count in counts.items())
        )
        if not with_data:
            out.print("the objects of the data set were not read", style="dim")
        hint(f"next: `sluice reproduce {model}` makes it again and compares")
    else:
        hint("next: restore the earlier version of what differs or is gone, or train again")
