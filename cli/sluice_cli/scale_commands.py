"""`sluice scale`: how many instances an endpoint has, or how many requests it answers at a time."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

import typer

from sluice.catalog.records.releases import Scaled
from sluice.domain.release import scaling as rules
from sluice.services.release import releasing
from sluice_cli import bus, lookup, waiting
from sluice_cli.errors import EXIT_REJECTED, EXIT_USAGE, CommandError
from sluice_cli.options import Json, example, show
from sluice_cli.output import escape, hint, out
from sluice_cli.target import Target

scale_app = typer.Typer()
ANSWERED_S = 60


@scale_app.command(epilog=example("sluice scale reviews-sentiment --stage production --count 3"))
def scale(
    context: typer.Context,
    pipeline: Annotated[str, typer.Argument(help="The pipeline's name.")],
    stage: Annotated[str, typer.Option(help="The stage to scale.")] = "production",
    count: Annotated[
        int | None, typer.Option(min=1, max=100, help="So many instances, whatever is asked.")
    ] = None,
    least: Annotated[
        int | None, typer.Option("--min", min=1, max=100, help="At least so many, with autoscaling.")
    ] = None,
    most: Annotated[
        int | None, typer.Option("--max", min=1, max=100, help="At most so many, with autoscaling.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=200, help="Requests at a time, of a serverless endpoint.")
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="As the project says again.")] = False,
    as_json: Json = False,
) -> None:
    """Scale a stage's endpoint in place of what its project says, until --reset.

    It holds for later releases too. Instances then follow requests only with --min or --max.
    Exits with 3 if the endpoint cannot be scaled so.
    """
    target = context.obj.target()
    name = lookup.the_pipeline(target, pipeline)
    wished = {"count": count, "min": least, "max": most, "concurrency": concurrency}
    given = {field: value for field, value in wished.items() if value is not None}
    _require_one(given, reset=reset)
    lookup.stage_row(target, name, stage)
    answer = _ask(target, name, stage, given)
    if answer.get("fault"):
        endpoint = releasing.find_endpoint_name(target.cloud, name, stage)
        raise CommandError(
            f"{endpoint} {answer['fault']}",
            hint=f"`sluice status {name}` shows how it scales.",
            exit_code=EXIT_REJECTED,
        )

    def text() -> None:
        to = "" if reset else "to "
        out.print("[green]scaled[/]", escape(stage), f"{to}{rules.wished(Scaled.of(given))}")
        ends = "" if reset else f"; `sluice scale {name} --stage {stage} --reset` ends that"
        hint(f"next: `sluice status {name}` shows the endpoint, which takes minutes to get instances{ends}")

    show({"pipeline": name, "stage": stage, "wish": given or None}, as_json, text)


def _require_one(given: dict[str, int], *, reset: bool) -> None:
    """Require one way to scale; --min and --max are one."""
    ways = {"--min or --max" if field in ("min", "max") else f"--{field}" for field in given}
    if reset:
        ways.add("--reset")
    if len(ways) != 1:
        said = f"{' and '.join(sorted(ways))} exclude each other" if ways else "nothing says how to scale"
        expected = "Give --count N, --min N and/or --max N, --concurrency N (serverless), or --reset."
        raise CommandError(said, hint=expected, exit_code=EXIT_USAGE)


def _ask(target: Target, pipeline: str, stage: str, given: dict[str, int]) -> dict[str, Any]:
    """Ask the stack to scale, and wait until it recorded that; returns its answer."""
    request_id = str(uuid.uuid4())
    wish = {"request_id": request_id, "actor": target.call("sts", "get_caller_identity")["Arn"], **given}
    detail = {"stack": target.stack, "pipeline": pipeline, "stage": stage, "wish": wish}
    bus.announce(target.client("events"), "ScalingDue", detail)

    def look() -> dict[str, Any] | None:
        found = releasing.find_stage(target.cloud, pipeline, stage)
        answer = dict(found.wish_answer or {}) if found else {}
        return answer if answer.get("request_id") == request_id else None

    return waiting.until(
        look, timeout_s=ANSWERED_S, what="the stack to record that", otherwise=waiting.ASK_AGAIN
    )
