"""People are told once of each thing, however often its event comes, and once when it is over."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest

import fakes
from sluice.catalog import keys
from sluice.catalog.records.notices import Notice
from sluice.domain.failures import ConflictError

Invoke = Callable[[str, Any], Any]
Sample = Callable[[str], Any]
ALARM = "sluice_dead-letters"


def alarm(value: str, minute: int) -> dict[str, Any]:
    at = f"2026-11-29T09:{minute:02d}:00.000+0000"
    detail = {"alarmName": ALARM, "state": {"value": value, "reason": "2 > 0", "timestamp": at}}
    return {"detail-type": "CloudWatch Alarm State Change", "time": at, "detail": detail}


def kept(cloud: fakes.Cloud) -> list[Notice]:
    return [Notice.of(item) for item in cloud.catalog.query(keys.NOTICES, keys.NOTICE)]


def test_the_topic_is_told_and_what_was_told_is_kept(
    cloud: fakes.Cloud, invoke: Invoke, sample: Sample
) -> None:
    told = invoke("send_notice", sample("send_notice"))
    (notice,) = cloud.notices.published
    assert (told["status"], told["key"]) == ("told", notice.key)
    assert notice.title == "reviews-00001 failed."
    assert notice.command == "sluice logs reviews-00001"
    (found,) = kept(cloud)
    assert (found.topic, found.told_at, found.slack) == ("sent", cloud.now(), None)
    assert found.expires_at


def test_an_event_that_comes_again_is_told_no_more(
    cloud: fakes.Cloud, invoke: Invoke, sample: Sample
) -> None:
    event = sample("send_notice")
    for number in range(5):
        invoke("send_notice", {**event, "id": str(number), "time": f"2026-11-24T1{number}:00:00Z"})
    assert len(cloud.notices.published) == 1


@pytest.mark.parametrize("webhooks", [(), ("slack",), ("slack", "teams")])
def test_each_webhook_that_is_configured_gets_it(
    cloud: fakes.Cloud, invoke: Invoke, sample: Sample, webhooks: tuple[Any, ...]
) -> None:
    cloud.notices.webhooks = webhooks
    key = invoke("send_notice", sample("send_notice"))["key"]
    assert cloud.notices.queued == [(key, channel) for channel in webhooks]
    assert [channel for channel in ("slack", "teams") if kept(cloud)[0].on(channel) == "waiting"] == [
        *webhooks
    ]


def test_a_crash_before_it_was_told_is_made_good_by_the_retry(
    cloud: fakes.Cloud, invoke: Invoke, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(cloud.notices, "publish", crash)
        with pytest.raises(RuntimeError):
            invoke("send_notice", sample("send_notice"))
    assert invoke("send_notice", sample("send_notice"))["status"] == "told"
    assert len(cloud.notices.published) == 1


def test_a_trouble_is_told_when_it_begins_and_when_it_is_over(cloud: fakes.Cloud, invoke: Invoke) -> None:
    for value, minute in (("ALARM", 1), ("ALARM", 2), ("OK", 3), ("OK", 4), ("ALARM", 5)):
        invoke("send_notice", alarm(value, minute))
    assert [notice.is_over for notice in cloud.notices.published] == [False, True, False]


def test_what_is_over_without_having_been_told_is_not_told(cloud: fakes.Cloud, invoke: Invoke) -> None:
    assert invoke("send_notice", alarm("OK", 1))["status"] == "known"
    assert cloud.notices.published == []


def test_who_cannot_write_its_notice_for_others_tries_again_later(
    cloud: fakes.Cloud, invoke: Invoke, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as busy:
        busy.setattr(cloud.catalog, "apply", lambda *_: False)
        for event in (sample("send_notice"), alarm("ALARM", 1), alarm("OK", 2)):
            with pytest.raises(ConflictError, match="others kept telling of"):
                invoke("send_notice", event)
    assert cloud.notices.published == []
    assert invoke("send_notice", alarm("ALARM", 1))["status"] == "told"


@pytest.mark.parametrize("order", [*permutations(range(2))])
def test_events_out_of_order_leave_nobody_with_a_trouble_that_is_over(
    cloud: fakes.Cloud, invoke: Invoke, order: tuple[int, ...]
) -> None:
    events = [alarm("ALARM", 1), alarm("OK", 2)]
    for index in order:
        invoke("send_notice", events[index])
    told = [notice.is_over for notice in cloud.notices.published]
    assert told in ([False, True], [])


def test_windows_that_stay_violated_are_told_once_until_one_is_not(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    for hour, status in enumerate(["violated", "violated", "ok", "ok", "violated"]):
        detail = {
            "pipeline": "reviews",
            "stage": "production",
            "release_id": "r",
            "judged": "requests",
            "start": f"2026-11-29T0{hour}:00:00.000Z",
            "end": f"2026-11-29T0{hour + 1}:00:00.000Z",
            "status": status,
            "is_estimate": False,
            "reasons": ["drift: age"],
        }
        invoke(
            "send_notice",
            {"detail-type": "MonitoringJudged", "time": "2026-11-29T09:00:00Z", "detail": detail},
        )
    assert [notice.is_over for notice in cloud.notices.published] == [False, True, False]


def test_what_asks_nobody_for_anything_writes_nothing(
    cloud: fakes.Cloud, invoke: Invoke, sample: Sample
) -> None:
    event = sample("send_notice")
    event["detail"]["status"] = "registered"
    assert invoke("send_notice", event) == {"status": "nothing to tell"}
    assert kept(cloud) == []
