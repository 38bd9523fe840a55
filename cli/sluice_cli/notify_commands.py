"""`sluice notify test` and `list`: whether people are told, and what they were told."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

import typer

from sluice.catalog.records.notices import CHANNELS, SENT, WAITING
from sluice.domain.notices import making
from sluice.domain.notices.making import Told
from sluice.domain.notices.place import Place
from sluice.services.views import notices
from sluice_cli import bus, waiting
from sluice_cli.errors import EXIT_FAILED, CommandError
from sluice_cli.groups import group
from sluice_cli.moments import shown
from sluice_cli.options import PAGE, Json, Limit, example, hint_more, show
from sluice_cli.output import err, escape, hint, out
from sluice_cli.target import Target

notify_app = group("Tell people what happened: e-mail, Slack, Teams.")
# A webhook is asked again after three minutes: what it says at first is the answer here.
_ANSWER_S = 60
_TESTED = "NoticeTested"


@notify_app.command("test", epilog=example("sluice notify test"))
def send_test(context: typer.Context, as_json: Json = False) -> None:
    """Send a message to every channel that is configured, and say of each whether it took it.

    Exits with 1 if one did not.
    """
    target = context.obj.target()
    with err.status("sending a message to each channel"):
        found = _sent(target)
    result = {"channels": found["channels"], "subscriptions": _subscriptions(target)}
    show(result, as_json, lambda: _print_outcomes(result))
    if any(outcome != SENT for outcome in found["channels"].values()):
        raise typer.Exit(EXIT_FAILED)


def _sent(target: Target) -> dict[str, Any]:
    """Ask for a message; returns its notice once each channel has answered."""
    at = target.cloud.now()
    detail = {"stack": target.stack, "request_id": uuid.uuid4().hex, "at": at}
    expected = making.notice_of(Told(_TESTED, detail, at, Place(target.stack, "")))
    assert expected is not None  # noqa: S101 - it makes a notice of each test
    bus.announce(target.client("events"), _TESTED, detail)

    def look() -> dict[str, Any] | None:
        found = notices.notice(target.cloud, expected.key)
        told = found["channels"] if found else {}
        return found if "topic" in told and WAITING not in told.values() else None

    what = "all channels to answer (`sluice logs --function post_notice` shows why)"
    return waiting.until(look, timeout_s=_ANSWER_S, what=what, otherwise=waiting.ASK_AGAIN)


def _subscriptions(target: Target) -> list[dict[str, Any]]:
    """List who subscribed to the topic, and whether they confirmed it."""
    topic = target.outputs.get("NoticesTopicArn")
    if topic is None:
        raise CommandError(f"stack {target.stack} is older than its notices", hint="Deploy it again.")
    listed = target.pages("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=topic)
    return [
        {
            "protocol": each["Protocol"],
            "endpoint": each["Endpoint"],
            "is_confirmed": each["SubscriptionArn"].startswith("arn:"),
        }
        for each in listed
    ]


def _print_outcomes(result: dict[str, Any]) -> None:
    for channel in CHANNELS:
        out.print(f"{channel:<6} {escape(result['channels'].get(channel, 'not configured'))}")
        if channel == "topic":
            for each in result["subscriptions"]:
                awaited = "" if each["is_confirmed"] else ": awaits its confirmation, look into the mailbox"
                out.print(f"       {each['protocol']} {escape(each['endpoint'])}{awaited}")
    if not result["subscriptions"] and len(result["channels"]) == 1:
        hint("nobody is told yet: deploy with NoticeEmail, or a webhook; docs/operations.md says how")


@notify_app.command("list", epilog=example("sluice notify list --limit 10"))
def list_notices(
    context: typer.Context,
    limit: Limit = PAGE,
    after: Annotated[
        str | None, typer.Option(help="Continue behind this notice: the last one's key.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List what people were told in the last 90 days, newest first."""
    target = context.obj.target()
    found = notices.notices(target.cloud, limit, after)

    def text() -> None:
        for each in found:
            _print_notice(each)
        if not found:
            out.print("nobody was told anything yet")
        hint_more("notify list", found, limit, lambda each: str(each["key"]))

    show({"notices": found}, as_json, text)


def _print_notice(found: dict[str, Any]) -> None:
    """Print a sentence, then why and the command that comes next: a reason may be longer than any column."""
    out.print(f"{shown(found['at'])}  {escape(found['title'])}")
    for line in (found["reason"] or "").splitlines():
        out.print(f"    {escape(line)}", style="dim")
    if found["command"]:
        out.print(f"    next: `{escape(found['command'])}`")
