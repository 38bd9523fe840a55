"""`sluice logs`: what scripts, functions and model servers print."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from sluice.domain import names
from sluice.domain.build import jobs
from sluice_cli import following, log_streams, lookup
from sluice_cli.errors import EXIT_INTERRUPTED, EXIT_USAGE, CommandError
from sluice_cli.following import Source
from sluice_cli.options import Json, example, show
from sluice_cli.output import escape, hint, out
from sluice_cli.target import Target

log_app = typer.Typer()


@log_app.command(epilog=example("sluice logs reviews-sentiment-00001 train-0 --follow"))
def logs(
    context: typer.Context,
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="A run, for the logs of its jobs; of a pipeline, its newest."),
    ] = None,
    step: Annotated[str | None, typer.Argument(help="One step of the run.")] = None,
    step_option: Annotated[str | None, typer.Option("--step", help="The same as STEP.")] = None,
    function: Annotated[
        str | None, typer.Option(help="One of the stack's functions, such as start_build.")
    ] = None,
    endpoint: Annotated[str | None, typer.Option(help="An endpoint, for its model server's log.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print lines as they come, until the run or step ends.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the logs of a run's jobs, of a function, or of an endpoint.

    With --follow it ends when the run or the step has ended; of a function or an endpoint with Ctrl-C. With
    --follow --json each line is one JSON document, `{"name": ..., "line": ...}`.
    """
    if sum(value is not None for value in (run, function, endpoint)) != 1:
        raise CommandError("give a run, --function or --endpoint", exit_code=EXIT_USAGE)
    if step and step_option and step != step_option:
        raise CommandError(f"{step} and {step_option} are two steps: give one", exit_code=EXIT_USAGE)
    step = step or step_option
    target = context.obj.target()
    run_id = lookup.named_run(target, run).run_id if run else None
    if follow:
        _follow(target, run_id, step, function, endpoint, as_json=as_json)
        return
    if function:
        found = {function: log_streams.function_log(target, function)}
    elif endpoint:
        found = {endpoint: log_streams.endpoint_log(target, endpoint)}
    else:
        logged = _logged(target, str(run_id), step)
        found = {item["step"]: log_streams.step_log(target, item) for item in logged}
    show(found, as_json, lambda: _print(found))


def _logged(target: Target, run_id: str, step: str | None) -> list[dict[str, Any]]:
    """Return the steps of a run that have logs, or the named one; raises CommandError if that has none."""
    logged = [each for each in lookup.step_of(lookup.the_run(target, run_id), step) if each.get("log_group")]
    if step and not logged:
        raise CommandError(
            f"the step {step!r} writes no log: SageMaker executes it without a job of a log's own",
            hint=f"`sluice logs {run_id}` has those of the jobs.",
            exit_code=EXIT_USAGE,
        )
    return logged


def _print(found: dict[str, list[str]]) -> None:
    for name, lines in found.items():
        out.print(f"[bold]{escape(name)}[/]")
        for line in lines:
            # The terminal wraps the line, not we.
            out.print(escape(line), soft_wrap=True)
    if not any(found.values()):
        hint("no log lines")


def _follow(
    target: Target,
    run_id: str | None,
    step: str | None,
    function: str | None,
    endpoint: str | None,
    *,
    as_json: bool,
) -> None:
    sources, is_over = _of_run(target, run_id, step) if run_id else _of_group(target, function, endpoint)
    try:
        following.follow(target, sources, is_over, _say_json if as_json else _teller())
    except KeyboardInterrupt:
        # Whoever follows a log ends so, and needs no message.
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if run_id and step:
        _logged(target, run_id, step)  # which may never have come
    if run_id and not as_json:
        hint(f"next: `sluice run {run_id}` shows how it ended")


def _of_run(
    target: Target, run_id: str, step: str | None
) -> tuple[Callable[[], Sequence[Source]], Callable[[], bool]]:
    """Return the logs of a run's jobs, those that there are by then, and whether all is over."""
    found = lookup.the_run(target, run_id)
    if step is not None and not _may_come(found, step):
        lookup.step_of(found, step)
    seen: dict[str, Any] = {}

    def is_over() -> bool:
        seen["run"] = lookup.the_run(target, run_id)
        if step is None or seen["run"]["status"] != "running":
            return bool(seen["run"]["status"] != "running")
        mine = [each for each in seen["run"]["steps"] if each["step"] == step]
        return any(jobs.has_ended(each.get("status")) for each in mine)

    def sources() -> list[Source]:
        chosen = [
            each
            for each in seen["run"]["steps"]
            if each.get("job_name") and each.get("log_group") and (step is None or each["step"] == step)
        ]
        return [Source(each["step"], each["log_group"], f"{each['job_name']}/") for each in chosen]

    return sources, is_over


def _may_come(found: dict[str, Any], step: str) -> bool:
    """Tell whether a run under way, which has no such step yet, may have one."""
    known = (names.TRAIN, names.evaluate_step(""), names.OF_PIPELINE)
    is_known = step == names.PREPARE or step.startswith(known)
    return bool(found["status"] == "running" and is_known)


def _of_group(
    target: Target, function: str | None, endpoint: str | None
) -> tuple[Callable[[], Sequence[Source]], Callable[[], bool]]:
    if function:
        source = Source(function, log_streams.function_group(target, function))
    else:
        log_streams.check_endpoint(target, str(endpoint))
        source = Source(str(endpoint), log_streams.endpoint_group(str(endpoint)))
    return lambda: [source], lambda: False


def _teller() -> Callable[[str, str], None]:
    """Return what prints lines, with a head where another log goes on."""
    last = ""

    def say(name: str, line: str) -> None:
        nonlocal last
        if name != last:
            out.print(f"[bold]{escape(name)}[/]")
            last = name
        out.print(escape(line), soft_wrap=True)

    return say


def _say_json(name: str, line: str) -> None:
    out.out(json.dumps({"name": name, "line": line}), highlight=False)
