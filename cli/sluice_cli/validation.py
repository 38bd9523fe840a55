"""`sluice validate` and `sluice schema infer`: the stack's own look at data, before an upload."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from sluice.domain import config, inference
from sluice.domain.config import ConfigError, PipelineConfig
from sluice_cli.errors import EXIT_FAILED, EXIT_USAGE, CommandError
from sluice_cli.options import Json, example, show
from sluice_cli.output import hint, out

# What the function has of its memory for the engine.
MEMORY_MB = 1228

schema_app = typer.Typer(no_args_is_help=True, help="The schema of a data contract.")
Files = Annotated[list[Path], typer.Argument(help="The files of a batch.")]


def validate(
    files: Files,
    pipeline: Annotated[Path, typer.Option(help="The folder with pipeline.yaml.")] = Path(),
    output: Annotated[Path, typer.Option(help="The folder to write the reports to.")] = Path("validation"),
    baseline: Annotated[
        Path | None, typer.Option(help="A profile.json, to measure drift and changes from.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Hold files against a pipeline's data contract, as the stack does after an upload.

    Exits with 0 when they keep it, 1 when they break it, and 2 when they or the contract cannot be read.
    """
    result = _validate(files, _contract(pipeline), output, baseline)

    def text() -> None:
        verdict = "[green]valid[/]" if result["is_valid"] else "[red]rejected[/]"
        out.print(f"{verdict}: {result['rows']} rows")
        for reason in result["reasons"]:
            out.print(f"  [red]-[/] {escape(reason)}")
        for warning in result["warnings"]:
            out.print(f"  [yellow]warning[/] {escape(warning)}")
        hint(f"report: {result['report_page']}")

    show(result, as_json, text)
    if not result["is_readable"]:
        raise typer.Exit(EXIT_USAGE)
    if not result["is_valid"]:
        raise typer.Exit(EXIT_FAILED)


@schema_app.command("infer", epilog=example("sluice schema infer reviews.csv > draft.yaml"))
def infer(
    file: Annotated[Path, typer.Argument(help="A first file of data.")],
    as_json: Json = False,
) -> None:
    """Print the schema that a file keeps, to be edited: a file shows what is, not what must be."""
    found = _infer(file)
    columns = inference.schema(found.columns)
    result = {"format": found.format, "csv": found.csv, "schema": columns}
    show(result, as_json, lambda: print(inference.to_yaml(found.format, found.csv, columns), end=""))


def _validate(
    files: list[Path], contract: PipelineConfig, output: Path, baseline: Path | None
) -> dict[str, Any]:
    with _readable():
        # Loaded when needed: the engine is large, and no other command uses it.
        from sluice import validating
        from sluice.adapters.engine import DataFile
        from sluice.domain.profiles import Profile

        given = validating.Baseline()
        if baseline is not None:
            profile = Profile.from_json(baseline.read_bytes())
            given = validating.Baseline(profile.rows, str(baseline), profile)
        with tempfile.TemporaryDirectory() as folder:
            outcome = validating.validate(
                [DataFile(str(path), _a_file(path)) for path in files],
                contract.data,
                limits=validating.Limits(MEMORY_MB, None, Path(folder)),
                now=datetime.now(UTC),
                baseline=given,
                title=f"{contract.name}, {', '.join(path.name for path in files)}",
            )
        output.mkdir(parents=True, exist_ok=True)
        for name, body in outcome.documents.items():
            (output / name).write_bytes(body)
    report = outcome.report
    return {
        "is_valid": report.is_valid,
        "is_readable": report.is_readable,
        "rows": report.rows,
        "reasons": list(report.reasons),
        "warnings": list(report.warnings),
        "report": str(output / validating.REPORT),
        "report_page": str(output / validating.REPORT_PAGE),
    }


def _infer(file: Path) -> Any:
    with _readable(), tempfile.TemporaryDirectory() as folder:
        from sluice.adapters import inferring
        from sluice.adapters.engine import DataFile, Engine, UnreadableError

        with Engine(MEMORY_MB, Path(folder) / "spill") as engine:
            try:
                return inferring.infer(engine, DataFile(str(file), _a_file(file)))
            except UnreadableError as error:
                raise CommandError(f"{file} {error}", exit_code=EXIT_USAGE) from None


def _contract(folder: Path) -> PipelineConfig:
    path = folder / "pipeline.yaml" if folder.is_dir() else folder
    try:
        return config.load(path.read_text("utf-8"))
    except FileNotFoundError:
        message = f"{folder} has no pipeline.yaml"
        raise CommandError(message, hint="Name its folder with --pipeline.", exit_code=EXIT_USAGE) from None
    except (OSError, UnicodeDecodeError, ConfigError) as error:
        raise CommandError(f"{path}: {error}", exit_code=EXIT_USAGE) from None


def _a_file(path: Path) -> Path:
    if not path.is_file():
        raise CommandError(f"{path} is no file", exit_code=EXIT_USAGE)
    return path.resolve()


@contextmanager
def _readable() -> Iterator[None]:
    """End in a sentence, whatever a file does to the engine."""
    try:
        yield
    except CommandError:
        raise
    except ModuleNotFoundError as error:
        advice = "Install it beside sluice: `pip install duckdb jinja2`."
        raise CommandError(f"{error.name} is not installed", hint=advice, exit_code=EXIT_USAGE) from None
    except json.JSONDecodeError:
        raise CommandError("the baseline is no profile.json", exit_code=EXIT_USAGE) from None
    except Exception as error:
        message = str(error) or type(error).__name__
        raise CommandError(f"the data cannot be read: {message}", exit_code=EXIT_USAGE) from None
