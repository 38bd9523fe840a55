"""The `sluice` command line."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError
from typer import rich_utils

from sluice.domain.build.projects import ProjectError
from sluice.domain.config import ConfigError
from sluice.domain.failures import MissingError
from sluice_cli.batch_commands import batch_app
from sluice_cli.build_commands import build_app
from sluice_cli.candidate_commands import candidate_app
from sluice_cli.console_commands import console_app
from sluice_cli.cost_commands import cost_app
from sluice_cli.data_commands import data_app, dataset_app
from sluice_cli.errors import EXIT_FAILED, EXIT_USAGE, UNREACHED, CommandError, of_system
from sluice_cli.evidence_commands import evidence_app
from sluice_cli.gates_commands import gates_app
from sluice_cli.lineage_commands import lineage_app
from sluice_cli.local_commands import local_app
from sluice_cli.log_commands import log_app
from sluice_cli.manifest_commands import manifest_app
from sluice_cli.monitor_commands import monitor_app
from sluice_cli.notify_commands import notify_app
from sluice_cli.options import Options, example
from sluice_cli.output import err, escape, here, hint, invocation
from sluice_cli.pin_commands import pin_app
from sluice_cli.recall_commands import recall_app
from sluice_cli.release_commands import release_app
from sluice_cli.report import report
from sluice_cli.reproduce_commands import reproduce_app
from sluice_cli.run_commands import run_app
from sluice_cli.scale_commands import scale_app
from sluice_cli.serving_commands import serving_app
from sluice_cli.sign_commands import sign_app
from sluice_cli.story_commands import story_app
from sluice_cli.target import REPOSITORY
from sluice_cli.validation import schema_app, validate

app = typer.Typer(
    name="sluice",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Upload data and the model retrains; approve it and it deploys; an alarm rolls it back.\n\n"
    "Commands talk to the local cloud when it runs (`sluice up`), else to AWS with your usual credentials.",
    epilog="Start here: `sluice demo`, or `sluice up && sluice init my-model && sluice push my-model`.",
)
if os.environ.get("NO_COLOR"):
    # Rich still prints bold and dim then; the pages of --help shall have neither.
    rich_utils.COLOR_SYSTEM = None
look_app = typer.Typer()
look_app.command(epilog=example("sluice validate part-1.csv --pipeline examples/reviews"))(validate)
look_app.command(epilog=example("sluice report reviews-sentiment-00001"))(report)
# `sluice --help` lists them in this order.
for commands in (
    local_app,
    build_app,
    run_app,
    cost_app,
    candidate_app,
    log_app,
    release_app,
    pin_app,
    scale_app,
    sign_app,
    serving_app,
    story_app,
    lineage_app,
    evidence_app,
    reproduce_app,
    recall_app,
    look_app,
    console_app,
):
    app.add_typer(commands)
app.add_typer(dataset_app, name="dataset")
app.add_typer(data_app, name="data")
app.add_typer(gates_app, name="gates")
app.add_typer(manifest_app, name="manifest")
app.add_typer(monitor_app, name="monitor")
app.add_typer(batch_app, name="batch")
app.add_typer(notify_app, name="notify")
app.add_typer(schema_app, name="schema")


@app.callback()
def options(
    context: typer.Context,
    local: Annotated[bool, typer.Option("--local", help="Use only the local cloud.")] = False,
    aws: Annotated[bool, typer.Option("--aws", help="Use AWS even if the local cloud is running.")] = False,
    stack: Annotated[str | None, typer.Option(help="The stack's name.", envvar="SLUICE_STACK")] = None,
    profile: Annotated[str | None, typer.Option(help="An AWS profile; implies AWS.")] = None,
    region: Annotated[str | None, typer.Option(help="An AWS region.")] = None,
) -> None:
    """Choose the target by the options before the command's name."""
    if local and aws:
        raise typer.BadParameter("--local and --aws exclude each other")
    where = "local" if local else "aws" if aws else "auto"
    invocation.program = program(sys.argv[0])
    # A hint need not repeat what the environment already says.
    source = context.get_parameter_source("stack")
    typed = stack if source is not None and source.name == "COMMANDLINE" else None
    values = {"--stack": typed, "--profile": profile, "--region": region}
    flags = ["--local"] * local + ["--aws"] * aws
    for name, value in values.items():
        flags += [name, shlex.quote(value)] if value else []
    invocation.options = " ".join(flags)
    context.obj = Options(where, stack, profile, region)


def program(called: str) -> str:
    """Return `sluice`, or the path to type if that is not found or belongs to another checkout."""
    found = shutil.which("sluice")
    path = Path(called)
    if path.name != "sluice" or (found and path.exists() and path.samefile(found)):
        return "sluice"
    return shlex.quote(here(path.absolute()))


def fail(message: str, details: str, exit_code: int) -> NoReturn:
    """Print on stderr what went wrong and what to do, and exit."""
    err.print(f"[red]error[/]: {escape(message)}")
    if details:
        hint(details)
    sys.exit(exit_code)


def main() -> None:
    """Run the command; errors that a person can act on print a sentence, not a traceback."""
    # Exit by an exception, so that the `finally` blocks of commands run: SIGTERM alone would skip them.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        app()
    except CommandError as error:
        fail(str(error), error.hint, error.exit_code)
    except (ConfigError, ProjectError) as error:
        fail(str(error), f"Nothing was done. See {here(REPOSITORY / 'docs/pipeline-yaml.md')}.", EXIT_USAGE)
    except ClientError as error:
        fail(f"{error.operation_name}: {error.response['Error'].get('Message', error)}", "", EXIT_FAILED)
    except (MissingError, S3UploadFailedError) as error:
        fail(str(error), "", EXIT_FAILED)
    except BotoCoreError as error:
        fail(str(error), UNREACHED, EXIT_FAILED)
    except OSError as error:
        told = of_system(error)
        fail(str(told), told.hint, told.exit_code)
