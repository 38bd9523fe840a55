"""`sluice gates`: what gates would say of the past."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice.domain import config as configs
from sluice.domain import wording
from sluice.services.views import backtesting
from sluice_cli import lookup
from sluice_cli.errors import EXIT_USAGE, CommandError
from sluice_cli.groups import group
from sluice_cli.options import Json, Pipeline, example, show
from sluice_cli.output import age, err, escape, hint, out, print_table, styled
from sluice_cli.target import Target

if TYPE_CHECKING:
    from sluice.domain.config import PipelineConfig

gates_app = group("Try gates on past runs.")
_REASON_SHOWN = 160
_UNJUDGED = "not judged"


@gates_app.callback()
def _group() -> None:
    """Keep `backtest` a command of its own: of a single one typer would make the whole."""


@gates_app.command(
    "backtest", epilog=example("sluice gates backtest reviews-sentiment --file pipeline.yaml --last 20")
)
def backtest(
    context: typer.Context,
    pipeline: Pipeline = None,
    file: Annotated[
        Path | None,
        typer.Option(help="A pipeline.yaml, or its folder; by default what was pushed last.", exists=True),
    ] = None,
    last: Annotated[int, typer.Option(help="How many runs to go back.", min=1, max=1000)] = 20,
    as_json: Json = False,
) -> None:
    """Tell which past runs the gates would judge otherwise as they are written now.

    Each run is judged by its stored evaluations and predictions. Nothing is written.
    """
    target = context.obj.target()
    name = lookup.the_pipeline(target, pipeline)
    config = _config(target, name, file)
    found = []
    with err.status("judging") as status:
        for each in backtesting.backtest(target.cloud, name, config, last):
            found.append(each)
            status.update(escape(f"judged {each['run_id']}"))
    changed = sum(each["is_changed"] for each in found)
    unjudged = sum(each["now"] is None for each in found)
    result = {
        "pipeline": name,
        "gates": list(config.gates),
        "changed": changed,
        "not_judged": unjudged,
        "runs": found,
    }
    show(result, as_json, lambda: _print(name, found, changed, unjudged))


def _config(target: Target, pipeline: str, file: Path | None) -> PipelineConfig:
    """Return the config of a file, or the one that was pushed last."""
    if file is None:
        return lookup.pushed_config(target, pipeline)
    path = file / "pipeline.yaml" if file.is_dir() else file
    try:
        config = configs.load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}", exit_code=EXIT_USAGE) from error
    if config.name != pipeline:
        raise CommandError(
            f"{path} is of the pipeline {config.name!r}, not of {pipeline!r}",
            hint=f"`sluice gates backtest {config.name} --file {path}` judges that one's runs.",
            exit_code=EXIT_USAGE,
        )
    return config


def _print(pipeline: str, found: list[dict[str, Any]], changed: int, unjudged: int) -> None:
    print_table(
        ("run", "started", "then", "now", "", "why"),
        (
            (
                each["run_id"],
                age(each["started_at"]),
                styled(each["then"] or each["status"]),
                styled(each["now"] or _UNJUDGED),
                "otherwise" if each["is_changed"] else "",
                wording.shorten(_why(each), _REASON_SHOWN),
            )
            for each in found
        ),
        empty=f"no runs yet: `sluice upload {pipeline} FILE` starts one",
    )
    if not found:
        return
    runs = wording.count(len(found), "run")
    out.print(f"{changed} of {runs} would be judged otherwise, {unjudged} cannot be judged")
    if otherwise := next((each["run_id"] for each in found if each["is_changed"]), None):
        hint(f"next: `sluice report {otherwise} --gates` shows how it was judged")


def _why(each: dict[str, Any]) -> str:
    return each["problem"] or "; ".join(each["reasons"])
