"""`sluice models`, `approve`, `reject`, `rollback` and `retire`: decide what serves."""

from __future__ import annotations

from typing import Annotated, Any, get_args

import typer
from rich.text import Text

from sluice.catalog.records.releases import ApprovalStatus
from sluice.domain import failures, wording
from sluice.domain.release import scaling
from sluice.services import views
from sluice.services.data import recalling
from sluice.services.release import approving
from sluice_cli import decisions, lookup, retiring, stage_releases, versions, waiting
from sluice_cli.errors import EXIT_FAILED, EXIT_REJECTED, CommandError
from sluice_cli.options import PAGE, Json, Limit, Pipeline, Reason, Wait, example, hint_more, show
from sluice_cli.output import age, err, escape, hint, lasting, out, print_table, styled
from sluice_cli.reasons import remarks
from sluice_cli.target import Target

release_app = typer.Typer()
MODEL_HELP = "PIPELINE/VERSION, GROUP/VERSION, PIPELINE/GROUP/VERSION, PIPELINE (its newest), or an ARN."


@release_app.command(epilog=example("sluice models reviews-sentiment"))
def models(
    context: typer.Context,
    pipeline: Pipeline = None,
    limit: Limit = PAGE,
    after: Annotated[str | None, typer.Option(help="Continue behind this model.")] = None,
    status: Annotated[
        ApprovalStatus | None,
        typer.Option(
            metavar="DECISION",
            help=f"Only those with this decision: {', '.join(get_args(ApprovalStatus))}.",
            case_sensitive=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the model versions in the registry, newest first, and where each is live."""
    target = context.obj.target()
    name = lookup.the_pipeline(target, pipeline)
    last = None if after is None else lookup.model_arn(target, after)
    found = views.models.page(target.cloud, name, last, limit, status)
    # Each remark costs requests, and there may be hundreds that nobody decides about.
    shown = {row["arn"] for row in found}
    asked = [each for each in views.awaited.decisions(target.cloud, name) if each["arn"] in shown]
    remarked = views.awaited.with_remarks(target.cloud, name, asked, recalling.find(target.cloud, name))
    awaited = {row["arn"]: row for row in remarked}
    serving = views.stages.stages(target.cloud, name)
    scaled = {
        each["stage"]: "scores batches" if each["is_batch"] else _scaled(target, name, each["stage"])
        for each in serving
        if each["live"]
    }
    for row in found:
        row["scaling"] = {stage: scaled[stage] for stage in row["live_on"] if scaled.get(stage)}
        waits = awaited.get(row["arn"], {})
        row["awaits"], row["awaits_since"] = waits.get("command"), waits.get("since")
        row |= {what: waits.get(what) for what in ("overtaken", "recalled")}
        row["waits_because"] = waits.get("held") or row["waits_because"]
        live = [each for each in serving if each["stage"] in row["live_on"]]
        row["deviates_on"] = [each["stage"] for each in live if each["deviation"]]
        row["held_on"] = {each["stage"]: each["hold"] for each in live if each["hold"]}

    def text() -> None:
        print_table(
            ("model", "approval", "live on", "awaits you", "run", "registered"),
            (
                (
                    row["model"],
                    styled(row["approval_status"]),
                    ", ".join(_marked(row, each) for each in row["live_on"]),
                    f"sluice {row['awaits']} ({lasting(row['awaits_since'])})" if row["awaits"] else "",
                    row["run_id"],
                    age(row["created_at"]),
                )
                for row in found
            ),
            empty=f"no model of {name} is {status}"
            if status
            else f"no models yet: `sluice upload {name} FILE` trains one",
        )
        for row in found:
            _print_remarks(row)
        listing = f"models {name} --status {status}" if status else f"models {name}"
        hint_more(listing, found, limit, lambda row: str(row["model"]))

    show(found, as_json, text)


def _print_remarks(row: dict[str, Any]) -> None:
    """Print why a version waits, beyond that all do, and what a person should know before approving it."""
    if row["waits_because"]:
        out.print(f"[yellow]•[/] {row['model']} waits: {escape(row['waits_because'])}")
    for remark in remarks(row):
        out.print(f"[yellow]•[/] {row['model']} was {escape(remark)}")


def _scaled(target: Target, pipeline: str, stage: str) -> str | None:
    """Say how much an endpoint can serve, unless it is one instance that nobody scales."""
    found = views.stages.scaling(target.cloud, pipeline, stage, with_faults=False)
    words = ", ".join(scaling.described(found)) if found else "1 instance"
    return None if words == "1 instance" else words


def _marked(row: dict[str, Any], stage: str) -> str:
    """Name a stage where a version is live, with what is unusual there."""
    hold = row["held_on"].get(stage)
    marks = [row["scaling"][stage]] if stage in row["scaling"] else []
    marks += [*(["deviates"] if stage in row["deviates_on"] else []), *([hold["why"]] if hold else [])]
    return f"{stage} ({', '.join(marks)})" if marks else stage


@release_app.command(epilog=example("sluice approve reviews-sentiment/1 -m 'accuracy is fine' --wait"))
def approve(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    stage: Annotated[
        str | None, typer.Option(help="Release an approved version to a stage that waits for a person.")
    ] = None,
    reason: Reason = "",
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Approve a model version in the registry; its release starts automatically.

    With --wait it exits with 0 if the version was released or awaits other people, 1 if the release
    failed, and 3 if it was refused; also without --wait, if the stage is pinned.
    """
    target = context.obj.target()
    arn = lookup.model_arn(target, model)
    package = versions.own_package(target, arn)
    pipeline = str(package.pipeline)
    with err.status("approving") as status:
        if stage is None:
            result = decisions.approve(target, arn, reason, status.update)
        else:
            result = stage_releases.release_to(target, arn, stage, reason or "sluice approve --stage")
        result["model"] = views.models.model_name(target.cloud, pipeline, arn)
        result["recalled"] = views.recalls.recalled_in(target.cloud, pipeline, package.run_id)
        if wait:
            status.update("waiting for the release")
            result["release"] = decisions.follow(target, result, status.update)
            if result["release"]:
                quicker = stage_releases.already_released(target, arn, stage, result["release"])
                _take_the_quicker(target, pipeline, result, quicker)
    finish_decision(result, as_json, _next_step(target, pipeline, arn, result.get("release") or {}))


def _next_step(target: Target, pipeline: str, arn: str, release: dict[str, Any]) -> str:
    """Name the version's release that waits for a person, how to ask what was released, or where to look."""
    awaited = [each for each in views.awaited.decisions(target.cloud, pipeline) if each["arn"] == arn]
    for each in awaited:
        if each["stage"]:
            return (
                f"next: `sluice {each['command']}` releases it to {each['stage']}, which waits for a person"
            )
    if release.get("status") == "released" and release.get("stages"):
        return _asking(target, pipeline, release["stages"][-1])
    if not release and (quorum := approving.find_quorum(target.cloud, versions.own_package(target, arn))):
        counted = f"how many of the {quorum.needed} approvals that it needs count"
        said = (
            counted
            if quorum.needed > 1
            else "whether the approval counts, as who pushed the project must not"
        )
        return f"next: `sluice status {pipeline}` shows {said}"
    # Whether a release is under way depends on others: who must approve too, what is pinned.
    return f"next: `sluice status {pipeline}` shows what is under way, what serves, and what waits for whom"


def _take_the_quicker(target: Target, pipeline: str, result: dict[str, Any], quicker: str | None) -> None:
    """Let a refused release count as done, if another one did the same meanwhile."""
    if quicker:
        release = waiting.this_release_end(target, pipeline, quicker)
        result |= {"release": release, "note": f"{quicker} was quicker, by {release['actor']}"}


def _asking(target: Target, pipeline: str, stage: str) -> str:
    """Name the command that asks what serves on a stage."""
    rows = {row["stage"]: row for row in views.stages.stages(target.cloud, pipeline)}
    if rows[stage]["is_batch"]:
        return f"next: `sluice batch run {pipeline} FILE` has a file scored by it"
    where = "" if stage == "production" else f" --stage {stage}"
    return f"next: `sluice predict {pipeline}{where} --sample` asks it what its project's sample asks"


@release_app.command(epilog=example("sluice reject reviews-sentiment/2 -m 'fails on long reviews'"))
def reject(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    reason: Reason = "",
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Reject a model version in the registry; where it is live, the last known good replaces it.

    With --wait it exits with 1 if the rollback failed, and with 3 if it was refused.
    """
    target = context.obj.target()
    arn = lookup.model_arn(target, model)
    with err.status("rejecting") as status:
        result = decisions.reject(target, arn, reason)
        if "serving" in result:
            pipeline = str(versions.own_package(target, arn).pipeline)
            result["model"] = views.models.model_name(target.cloud, pipeline, arn)
        if wait:
            status.update("waiting for what serves in its place")
            result["releases"] = decisions.follow_rejection(target, result, status.update)
    if wait and not result["releases"]:
        result.setdefault("note", "it serves nowhere, so nothing is rolled back")
    finish_decision(result, as_json, _after_rejection(target, arn, result))


def _after_rejection(target: Target, arn: str, result: dict[str, Any]) -> str:
    """Name what shows who serves in place of a rejected version."""
    if "serving" not in result:
        return "next: `sluice status` shows what serves; no run of this stack registered that version"
    pipeline = str(versions.own_package(target, arn).pipeline)
    if result["serving"]:
        stage = next(iter(result["serving"]))
        if any(each["status"] != "released" for each in result.get("releases", ())):
            return f"next: {decisions.takes_away(pipeline, stage)}"
        return f"next: `sluice why {pipeline} --stage {stage}` tells what serves there, and why"
    return f"next: `sluice models {pipeline}` shows the other versions, and what waits for a person"


@release_app.command(
    epilog=example("sluice rollback reviews-sentiment --stage production -m 'complaints' --wait")
)
def rollback(
    context: typer.Context,
    pipeline: Pipeline = None,
    stage: Annotated[str, typer.Option(help="The stage to roll back.")] = "production",
    reason: Reason = "",
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Return a stage to its last known good release.

    With --wait it exits with 1 if the rollback failed, and with 3 if it was refused.
    """
    target = context.obj.target()
    name = lookup.the_pipeline(target, pipeline)
    live = lookup.stage_row(target, name, stage)
    result = stage_releases.roll_back(target, name, live, reason or "sluice rollback")
    result |= {"status": "started", "takes_back": live["live_version"]}
    if wait:
        with err.status(f"waiting for {result['release_id']}"):
            result["release"] = waiting.this_release_end(target, name, result["release_id"])
        quicker = stage_releases.already_rolled_back(target, name, live, result["release"])
        _take_the_quicker(target, name, result, quicker)
    finish_decision(result, as_json, f"next: `sluice status {name}` shows the release")


@release_app.command(epilog=example("sluice retire reviews-sentiment --stage staging"))
def retire(
    context: typer.Context,
    pipeline: Annotated[str, typer.Argument(help="The pipeline's name.")],
    stage: Annotated[str | None, typer.Option(help="Only this stage; default: all.")] = None,
    reason: Reason = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a pipeline's endpoints, their alarms and scaling; data, models and evidence stay."""
    target = context.obj.target()
    name = lookup.the_pipeline(target, pipeline)
    planned = retiring.plan(target, name, stage)
    if planned and not yes:
        _confirm_retiring(target, planned)
    with err.status("deleting"):
        retiring.retire(target, name, planned, reason)

    def text() -> None:
        for each in planned:
            was = "no endpoint" if each["is_batch"] else f"{each['endpoint_name']} (was gone)"
            endpoint = each["endpoint_name"] if each["is_there"] else was
            guards = wording.count(len(each["alarms"]), "alarm")
            out.print("[green]retired[/]", escape(each["stage"]), f"{endpoint}, {guards}")
        if not planned:
            out.print(f"nothing was ever released of {name}")
        hint(f"next: `sluice approve {name}/VERSION` deploys a version again")

    show({"pipeline": name, "retired": planned}, as_json, text)


def _confirm_retiring(target: Target, planned: list[dict[str, Any]]) -> None:
    err.print(f"On {escape(target.description)} this deletes:")
    for each in planned:
        serves = f"serves v{each['live_version']}" if each["live_version"] else "serves nothing"
        if each["foreign_config"]:
            serves = f"serves {escape(each['foreign_config'])}, which no release made"
        guards = wording.count(len(each["alarms"]), "alarm")
        err.print(f"  {escape(each['endpoint_name'])} ({serves}), {guards}")
    try:
        is_sure = typer.confirm("Delete them?", default=False, err=True)
    except typer.Abort:
        raise CommandError("nobody answered: nothing was deleted", hint="`--yes` does not ask.") from None
    if not is_sure:
        raise CommandError("nothing was deleted")


def _where(release: dict[str, Any]) -> str:
    """Tell which version a successful release, or rollback, put where."""
    if release["status"] != "released" or not release.get("stages"):
        return ""
    return f": v{release['package_version']} serves on {', '.join(release['stages'])}"


def _subject(result: dict[str, Any]) -> str:
    """Name what was decided on: a version, of another stack by its ARN, or the stage's rollback."""
    named = result.get("model") or result.get("model_package_arn") or result["release_id"]
    former = result.get("takes_back")
    return f"{named}, which takes v{former} back" if former else str(named)


def finish_decision(result: dict[str, Any], as_json: bool, next_step: str) -> None:
    """Print what a decision led to; exits 1 if its release failed, 3 if it was refused."""
    release = result.get("release")
    ended = [release] if release else result.get("releases") or []

    def text() -> None:
        out.print(styled(result["status"]), _subject(result))
        if note := result.get("note"):
            out.print(escape(note))
        if recalled := result.get("recalled"):
            out.print(f"[yellow]•[/] it was {escape(wording.recalled(recalled))}")
        for each in ended:
            what = "rollback" if each.get("is_rollback") else "release"
            out.print(what, each["release_id"], styled(each["status"]) + Text(_where(each)))
            for reason in each.get("reasons") or []:
                out.print(f"  [yellow]•[/] {escape(failures.plain(str(reason)))}")
        hint(next_step)

    shown = {key: value for key, value in result.items() if key not in ("after_epoch", "serving")}
    show(shown, as_json, text)
    found = {each["status"] for each in ended}
    if found - {"released", "refused"}:
        raise typer.Exit(EXIT_FAILED)
    if "refused" in found:
        raise typer.Exit(EXIT_REJECTED)
