"""A webhook is asked until it takes a notice, and then no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fakes
from sluice.catalog import keys
from sluice.catalog.records.notices import Notice

Invoke = Callable[[str, Any], Any]
Sample = Callable[[str], Any]
NOTHING_FAILED: dict[str, list[Any]] = {"batchItemFailures": []}


def queued(cloud: fakes.Cloud, invoke: Invoke, sample: Sample) -> str:
    cloud.notices.webhooks = ["slack"]
    key: str = invoke("send_notice", sample("send_notice"))["key"]
    return key


def outcome(cloud: fakes.Cloud, key: str) -> str | None:
    return Notice.of(cloud.catalog.get(keys.notice_key(key)) or {}).slack


def message(sample: Sample, key: str) -> Any:
    event = sample("post_notice")
    event["Records"][0]["body"] = f'{{"key": "{key}", "channel": "slack"}}'
    return event


def test_a_notice_is_posted_once_however_often_its_message_comes(
    cloud: fakes.Cloud, invoke: Invoke, sample: Sample
) -> None:
    key = queued(cloud, invoke, sample)
    for _ in range(3):
        assert invoke("post_notice", message(sample, key)) == NOTHING_FAILED
    ((channel, body),) = cloud.webhooks.posted
    assert (channel, body["text"]) == ("slack", "reviews-00001 failed.")
    assert outcome(cloud, key) == "sent"


def test_a_refusal_goes_back_to_the_queue_and_is_noted_until_it_is_taken(
    cloud: fakes.Cloud, invoke: Invoke, sample: Sample
) -> None:
    key = queued(cloud, invoke, sample)
    cloud.webhooks.refusal = "hooks.slack.com answered 404 no_service"
    event = message(sample, key)
    failed = invoke("post_notice", event)["batchItemFailures"]
    assert failed == [{"itemIdentifier": event["Records"][0]["messageId"]}]
    assert outcome(cloud, key) == "failed: hooks.slack.com answered 404 no_service"
    cloud.webhooks.refusal = None
    assert invoke("post_notice", event) == NOTHING_FAILED
    assert outcome(cloud, key) == "sent"


def test_a_notice_that_is_forgotten_by_now_is_not_posted(
    cloud: fakes.Cloud, invoke: Invoke, sample: Sample
) -> None:
    assert invoke("post_notice", sample("post_notice")) == NOTHING_FAILED
    assert cloud.webhooks.posted == []
