"""`sluice evidence`: write a folder that a reviewer can read, and verify one."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from sluice.domain import wording
from sluice.domain.release import statements
from sluice.domain.release.statements import Finding, StatementsError
from sluice.services.views import evidence as views
from sluice_cli import lookup
from sluice_cli import target as targets
from sluice_cli.errors import EXIT_REJECTED, EXIT_USAGE, CommandError
from sluice_cli.options import Json, example, show
from sluice_cli.output import escape, here, hint, out
from sluice_cli.release_commands import MODEL_HELP

evidence_app = typer.Typer()
# The same evidence makes the same archive.
_ZIPPED_AT = (1980, 1, 1, 0, 0, 0)
_STYLES = {"differs": "red", "gone": "red", "unlisted": "yellow"}


@evidence_app.command(epilog=example("sluice evidence reviews-sentiment/2 --out evidence --zip"))
def evidence(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(help=MODEL_HELP)] = None,
    output: Annotated[
        Path | None, typer.Option("--out", help="The folder to write; by default below .sluice/evidence.")
    ] = None,
    zipped: Annotated[bool, typer.Option("--zip", help="Write one file, FOLDER.zip, in its place.")] = False,
    verify: Annotated[
        Path | None, typer.Option("--verify", help="A folder or zip to verify; needs no stack.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a model's evidence as a folder to read: card, data, gates, approvals, releases, packages.

    Each file is listed in statements.json with what it says, where it is from and its sha256. What is not
    known is listed as a gap. --verify exits with 3 if a file was changed, is gone, or is not listed.
    """
    if (model is None) == (verify is None):
        raise CommandError(
            "name a model, or a folder to --verify",
            hint="`sluice models` lists models.",
            exit_code=EXIT_USAGE,
        )
    if verify is not None:
        _verify(verify, as_json)
        return
    target = context.obj.target()
    found = views.gather(target.cloud, lookup.model_arn(target, str(model)))
    name = found.stated["model"].replace("/", "-")
    folder = output or targets.home() / "evidence" / name
    written = _write_zip(folder, found.files) if zipped else _write(folder, found.files)
    result = {**found.stated, "path": str(written)}
    show(result, as_json, lambda: _print_written(found, written))


def _write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write the files; raises CommandError if the folder has others, which would look like evidence."""
    if folder.is_dir() and (others := sorted({each.name for each in folder.iterdir()} - {*files})):
        raise CommandError(
            f"{here(folder)} has files that are no evidence of this model: {', '.join(others[:5])}",
            hint="Name an empty folder with --out.",
            exit_code=EXIT_USAGE,
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def _write_zip(folder: Path, files: Mapping[str, bytes]) -> Path:
    path = folder.with_name(f"{folder.name}.zip")
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _ZIPPED_AT), content, zipfile.ZIP_DEFLATED)
    return path


def _print_written(found: views.Folder, written: Path) -> None:
    stated, card = found.stated, json.loads(found.files["model-card.json"])
    out.print(escape(here(written)), soft_wrap=True)
    told = [
        wording.count(len(stated["statements"]), "statement"),
        wording.count(len(card["gaps"]), "gap") + " of the model card",
        *(f"no {each['file']}: {each['why']}" for each in stated["missing"]),
    ]
    for line in told:
        out.print(escape(line))
    digest = statements.digest(found.files[statements.FILE])
    out.print(f"statements.json has this sha256, to be noted elsewhere:\n  {digest}", style="dim")
    hint(f"next: `sluice evidence --verify {here(written)}`, or open index.html")


def _verify(path: Path, as_json: bool) -> None:
    names, read = _reader(path)
    content = read(statements.FILE)
    if content is None:
        raise CommandError(f"{path} has no {statements.FILE}", exit_code=EXIT_USAGE)
    try:
        stated = json.loads(content)
        found = statements.verify(stated, names, read)
    except (ValueError, StatementsError) as error:
        raise CommandError(f"{path} cannot be verified: {error}", exit_code=EXIT_REJECTED) from None
    is_intact = all(each.condition == "intact" for each in found)
    result = {
        "path": str(path),
        "model": stated.get("model"),
        "statements_sha256": statements.digest(content),
        "is_intact": is_intact,
        "findings": [asdict(each) for each in found],
    }
    show(result, as_json, lambda: _print_findings(result, found))
    if not is_intact:
        raise typer.Exit(EXIT_REJECTED)


def _reader(path: Path) -> tuple[list[str], Callable[[str], bytes | None]]:
    """Return the names of the files of a folder or an archive, and what reads one."""
    if path.is_dir():
        names = [each.relative_to(path).as_posix() for each in path.rglob("*") if not each.is_dir()]
        return names, lambda name: (path / name).read_bytes() if name in names else None
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise CommandError(f"{path} is neither a folder nor a zip: {error}", exit_code=EXIT_USAGE) from None
    packed = archive.namelist()
    return packed, lambda name: archive.read(name) if name in packed else None


def _print_findings(result: Mapping[str, Any], found: list[Finding]) -> None:
    for each in found:
        if each.condition != "intact":
            told = Text(each.condition, style=_STYLES[each.condition])
            out.print(told, escape(f"{each.file}: {each.detail}"), soft_wrap=True)
    intact = sum(each.condition == "intact" for each in found)
    out.print(f"{'[green]intact[/]' if result['is_intact'] else 'intact'}: {wording.count(intact, 'file')}")
    out.print(f"statements.json has this sha256:\n  {result['statements_sha256']}", style="dim")
