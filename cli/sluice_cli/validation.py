"""`sluice validate` and `sluice schema infer`: check data as the stack does, before an upload."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice.domain import config, wording
from sluice.domain.config import ConfigError, PipelineConfig
from sluice.domain.config.source import MAX_SOURCE_CHARACTERS
from sluice.quality import inference
from sluice.quality.part_results import reading
from sluice.quality.statistics.profiles import Profile, ProfileFormatError
from sluice.quality.validation import DataFile, Report
from sluice.services.views import pipelines
from sluice_cli import lookup
from sluice_cli.errors import EXIT_REJECTED, EXIT_USAGE, CommandError, of_system, unknown
from sluice_cli.groups import group
from sluice_cli.options import Json, example, show
from sluice_cli.output import escape, here, hint, out
from sluice_cli.paths import a_file, some_of
from sluice_cli.target import REPOSITORY, Target, local_cloud

if TYPE_CHECKING:
    from sluice.quality.judging import Baseline

# The stack's function has as much.
FUNCTION_MEMORY_MB = 2048
VIOLATIONS_SHOWN = 20

schema_app = group("The schema of a data contract.")
Files = Annotated[list[Path], typer.Argument(help="The files of a batch.")]


def validate(
    context: typer.Context,
    files: Files,
    pipeline: Annotated[
        Path, typer.Option(help="The folder with pipeline.yaml, or a pipeline of the stack as it was pushed.")
    ] = Path(),
    output: Annotated[Path, typer.Option(help="The folder to write the reports to.")] = Path("validation"),
    baseline: Annotated[
        Path | None, typer.Option(help="A profile.json to measure drift and changes from.")
    ] = None,
    is_alone: Annotated[
        bool, typer.Option("--alone", help="Judge the files alone, even if there is a stack.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check files against a pipeline's data contract, as the stack does after an upload.

    With `sluice --stack NAME validate`, or if the local cloud is running, the stack's data set and baseline
    are part of the check; else the output lists the checks that were not made. Exits with 0 if the files
    pass, 3 if they fail, and 2 if they or the contract cannot be read.
    """
    files = list({path.resolve(): path for path in files}.values())
    target = None if is_alone else _target(context)
    contract = _contract(pipeline, target)
    judged = _validate(files, contract, _folder(output), baseline, target)
    report = judged.report
    result: dict[str, Any] = {
        "is_valid": report.is_valid,
        "is_readable": judged.is_readable,
        "rows": report.rows,
        "file_rows": judged.file_rows,
        "reasons": list(report.reasons),
        "warnings": list(report.warnings),
        "drift_untold": list(report.untold),
        "report": str(output / "report.json"),
        "report_page": str(output / "report.html"),
        "judged_with": judged.said,
        "not_judged": judged.unjudged,
        "reads_whole": list(reading(contract.data)),
    }

    def text() -> None:
        _say(judged)
        if judged.said:
            hint(judged.said)
        for sentence in judged.unjudged:
            hint(f"not judged: {sentence}")
        for sentence in result["reads_whole"]:
            hint(f"warning: {sentence}")
        hint(f"report: {result['report_page']}")
        if report.is_valid and judged.is_known:
            hint(f"next: `sluice upload {contract.name} {shlex.join(map(here, files))}`")
        elif report.is_valid:
            hint(f"next: `sluice push {shlex.quote(here(pipeline))}`, then upload the files")

    show(result, as_json, text)
    if not judged.is_readable:
        raise typer.Exit(EXIT_USAGE)
    if not report.is_valid:
        raise typer.Exit(EXIT_REJECTED)


@dataclass(frozen=True)
class _Judged:
    """What is said of the files: `file_rows` are theirs alone, the report is also about what a stack has.

    `said` tells what they were judged with, `unjudged` what was not judged, and `is_known` whether the stack
    that was asked has the pipeline.
    """

    report: Report
    file_rows: Mapping[str, int]
    said: str | None
    unjudged: Sequence[str]
    is_known: bool

    @property
    def is_readable(self) -> bool:
        """Whether any row of the files could be read."""
        unreadable = (each for each in self.report.violations if each.check == "format")
        is_mine = (not each.objects or self.file_rows.keys() & each.objects for each in unreadable)
        return any(self.file_rows.values()) or not any(is_mine)


def _say(judged: _Judged) -> None:
    """Print the verdict and its reasons, each with an example value."""
    report, mine = judged.report, sum(judged.file_rows.values())
    verdict = "[green]valid[/]" if report.is_valid else "[red]rejected[/]"
    with_others = f", {wording.count(report.rows, 'row')} with the data set" if report.rows > mine else ""
    out.print(f"{verdict}: {wording.count(mine, 'row')}{with_others}")
    # List what rejects before what only warns.
    ordered = sorted(report.violations, key=lambda violation: violation.severity)
    for violation in ordered[:VIOLATIONS_SHOWN]:
        sign = "[red]-[/]" if violation.severity == "fail" else "[yellow]warning[/]"
        value = violation.examples[0].value if violation.examples else None
        shown = "" if value is None else f"[dim]: {escape(value)}[/]"
        out.print(f"  {sign} {escape(str(violation))}{shown}")
    if len(ordered) > VIOLATIONS_SHOWN:
        out.print(f"  and {len(ordered) - VIOLATIONS_SHOWN} more")
    if report.untold:
        names = some_of([escape(name) for name in report.untold])
        out.print(f"  [yellow]drift[/] cannot be told of {names}: there are too few rows")


@schema_app.command("infer", epilog=example("sluice schema infer reviews.csv > draft.yaml"))
def infer(
    file: Annotated[Path, typer.Argument(help="A first file of data.")],
    as_json: Json = False,
) -> None:
    """Print a draft schema that a file satisfies, to be edited: a file shows what is, not what must be."""
    found = _infer(file)
    columns = inference.schema(found.columns)
    result = {"format": found.format, "csv": found.csv, "schema": columns}

    def text() -> None:
        draft = inference.to_yaml(found.format, found.csv, columns)
        print(draft, end="")
        if len(draft) > (most := MAX_SOURCE_CHARACTERS):
            hint(
                f"the draft has {len(draft)} characters, and pipeline.yaml at most {most}: "
                "leave out columns that need no check, as `extra` allows what the schema does not name"
            )
        hint("next: put this into a pipeline.yaml, name the label, and say what must be, not only what is")

    show(result, as_json, text)


def _target(context: typer.Context) -> Target | None:
    """Return the stack to judge with: the one asked for, or the local cloud's; None if there is none."""
    options = context.obj
    is_asked_for = options.where != "auto" or options.stack or options.profile
    return options.target() if is_asked_for or local_cloud() is not None else None


def _validate(
    files: list[Path],
    contract: PipelineConfig,
    output: Path,
    baseline: Path | None,
    target: Target | None,
) -> _Judged:
    with _readable(), tempfile.TemporaryDirectory() as scratch:
        # Import it here: the engine is large, and no other command uses it.
        from sluice.quality import run
        from sluice.quality.judging import Terms
        from sluice_cli import stack_data

        given = _baseline(baseline) if baseline else None
        mine = [DataFile(str(path), a_file(path).resolve()) for path in files]
        fetched = Path(scratch) / "fetched"
        fetched.mkdir()
        names = [path.name for path in files]
        beside = stack_data.beside(target, contract, names, fetched, given)
        work = run.Work(
            [*beside.files, *mine],
            Terms(contract.data, given or beside.baseline, datetime.now(UTC)),
            run.Limits.of_function(FUNCTION_MEMORY_MB, None, Path(scratch)),
        )
        outcome = run.validate(work, title=f"{contract.name}, {', '.join(names)}")
        for name, body in outcome.documents.items():
            (output / name).write_bytes(body)
        unjudged = stack_data.unjudged(contract.data, given or beside.baseline, is_whole=beside.is_whole)
    rows = {file.key: outcome.object_rows.get(file.key, 0) for file in mine}
    return _Judged(outcome.report, rows, beside.said, list(unjudged), beside.is_known)


def _baseline(path: Path) -> Baseline:
    from sluice.quality.judging import Baseline

    profile = _profile(path)
    return Baseline(profile.rows, str(path), profile)


def _profile(path: Path) -> Profile:
    try:
        return Profile.from_json(a_file(path).read_bytes())
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}", exit_code=EXIT_USAGE) from None
    except ProfileFormatError as error:
        advice = "An earlier `sluice validate` wrote one beside its report."
        raise CommandError(f"{path} {error}", hint=advice, exit_code=EXIT_USAGE) from None


def _infer(file: Path) -> Any:
    with _readable(), tempfile.TemporaryDirectory() as folder:
        from sluice.quality import run
        from sluice.quality.engine import Engine, UnreadableError, inferring

        limits = run.Limits.of_function(FUNCTION_MEMORY_MB, None, Path(folder))
        with Engine(limits.memory_mb, limits.folder / "spill") as engine:
            try:
                return inferring.infer(engine, DataFile(str(file), a_file(file).resolve()))
            except UnreadableError as error:
                raise CommandError(f"{file} {error}", exit_code=EXIT_USAGE) from None


def _contract(folder: Path, target: Target | None) -> PipelineConfig:
    """Return the contract of a folder; if there is none, that of the stack's pipeline of this name."""
    if not folder.exists() and target and str(folder) in pipelines.pipeline_names(target.cloud):
        return lookup.pushed_config(target, str(folder))
    path = folder / "pipeline.yaml" if folder.is_dir() else folder
    try:
        return config.load(path.read_text("utf-8"))
    except FileNotFoundError:
        advice = "--pipeline takes the folder with pipeline.yaml, or a pipeline that was pushed to the stack."
        if folder.exists():
            message = f"{folder} has no pipeline.yaml"
            raise CommandError(message, hint=advice, exit_code=EXIT_USAGE) from None
        known = pipelines.pipeline_names(target.cloud) if target else []
        if target is None:
            advice += " No stack was asked: `sluice up` starts the local cloud."
        raise unknown(f"there is no folder {folder}", str(folder), known, advice) from None
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}", exit_code=EXIT_USAGE) from None
    except UnicodeDecodeError:
        raise CommandError(f"{path} is no UTF-8 text", exit_code=EXIT_USAGE) from None
    except ConfigError as error:
        advice = f"See {here(REPOSITORY / 'docs/pipeline-yaml.md')}."
        raise CommandError(f"{path}: {error}", hint=advice, exit_code=EXIT_USAGE) from None


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{path} cannot be a folder of reports: {error.strerror}"
        raise CommandError(message, hint="Name another with --output.", exit_code=EXIT_USAGE) from None
    return path


@contextmanager
def _readable() -> Iterator[None]:
    """Turn whatever a file does to the engine into a CommandError."""
    try:
        yield
    except CommandError:
        raise
    except ModuleNotFoundError as error:
        advice = "Install it beside sluice: `pip install duckdb jinja2`."
        raise CommandError(f"{error.name} is not installed", hint=advice, exit_code=EXIT_USAGE) from None
    except OSError as error:
        raise of_system(error, EXIT_USAGE) from None
    except Exception as error:
        message = str(error) or type(error).__name__
        raise CommandError(f"the data cannot be read: {message}", exit_code=EXIT_USAGE) from None
