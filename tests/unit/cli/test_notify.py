"""`sluice notify` says of each channel whether it took a message, and what people were told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

import fakes
from command_world import Stack
from sluice import observability
from sluice_cli import main
from sluice_cli.options import Options

Invoke = Callable[[str, Any], Any]


class Telling(Stack):
    """A stack whose functions tell people at once."""

    def __init__(self, cloud: fakes.Cloud, invoke: Invoke) -> None:
        super().__init__(cloud)
        self.invoke = invoke
        self.outputs["NoticesTopicArn"] = "arn:topic"
        self.subscribed: list[dict[str, str]] = []

    def put_events(self, Entries: list[dict[str, str]]) -> dict[str, Any]:
        (entry,) = Entries
        detail = json.loads(entry["Detail"])
        event = {"detail-type": entry["DetailType"], "time": self.cloud.now.at, "detail": detail}
        self.invoke("send_notice", event)
        for key, channel in self.cloud.notices.queued:
            body = json.dumps({"key": key, "channel": channel})
            self.invoke("post_notice", {"Records": [{"messageId": "1", "body": body}]})
        return {"FailedEntryCount": 0}

    def pages(self, service: str, operation: str, key: str, **_: Any) -> list[dict[str, str]]:
        assert (service, operation, key) == ("sns", "list_subscriptions_by_topic", "Subscriptions")
        return self.subscribed


@pytest.fixture
def stack(cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> Telling:
    assert observability.logger  # it keeps the stdout that is there when it is made
    telling = Telling(cloud, invoke)
    monkeypatch.setattr(Options, "target", lambda _: telling)
    return telling


def sluice(*words: str, exit_code: int = 0) -> str:
    result = CliRunner().invoke(main.app, words)
    assert result.exit_code == exit_code, (result.output, result.exception)
    return result.stdout


def test_each_channel_is_named_with_what_it_said(stack: Telling) -> None:
    stack.cloud.notices.webhooks = ["slack"]
    stack.subscribed = [
        {"Protocol": "email", "Endpoint": "ada@example.org", "SubscriptionArn": "PendingConfirmation"}
    ]
    lines = sluice("notify", "test").splitlines()
    assert lines[0] == "topic  sent"
    assert "ada@example.org: awaits its confirmation" in lines[1]
    assert lines[2:] == ["slack  sent", "teams  not configured"]


def test_a_channel_that_refuses_fails_the_command_with_its_words(stack: Telling) -> None:
    stack.cloud.notices.webhooks = ["slack", "teams"]
    stack.cloud.webhooks.refusal = "hooks.slack.com answered 403 invalid_token"
    found = json.loads(sluice("notify", "test", "--json", exit_code=1))
    assert found["channels"]["topic"] == "sent"
    assert found["channels"]["teams"] == "failed: hooks.slack.com answered 403 invalid_token"


def test_what_people_were_told_is_listed_newest_first_page_by_page(stack: Telling, sample: Any) -> None:
    event = sample("send_notice")
    for number in range(3):
        event["detail"] |= {"run_id": f"reviews-0000{number}", "ended_at": f"2026-11-29T09:0{number}:00.000Z"}
        stack.invoke("send_notice", event)
    first = json.loads(sluice("notify", "list", "--limit", "2", "--json"))["notices"]
    assert [each["title"][:13] for each in first] == ["reviews-00002", "reviews-00001"]
    assert first[0]["channels"] == {"topic": "sent"}
    rest = json.loads(sluice("notify", "list", "--after", first[-1]["key"], "--json"))["notices"]
    assert [each["title"][:13] for each in rest] == ["reviews-00000"]
    listed = sluice("notify", "list").splitlines()
    assert listed[0].startswith("2026-11-29 09:02:00  reviews-00002")
    assert listed[2] == "    next: `sluice logs reviews-00002`"
    # Nothing is drawn out to the width of the longest reason.
    assert [line for line in listed if line != line.rstrip()] == []


def test_nobody_told_is_said_so(stack: Telling) -> None:
    assert sluice("notify", "list") == "nobody was told anything yet\n"
