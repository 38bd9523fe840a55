"""Each channel gets a notice in the form it takes, whatever the reason says."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sluice.catalog.records.notices import Notice
from sluice.domain.notices import bodies

NOTICE = Notice(
    "k",
    "run_failed",
    "2026-11-29T09:00:00.000Z",
    "reviews-00003 failed.",
    "a < b & <!channel>",
    "sluice logs reviews-00003",
    "https://console/x?a=1&b=2",
    "reviews",
)
BARE = Notice("k", "alarm", "2026-11-29T09:00:00.000Z", "It is over.", is_over=True)


def test_an_email_says_why_what_next_and_where_to_look() -> None:
    lines = bodies.text(NOTICE).splitlines()
    assert lines[0] == "reviews-00003 failed."
    assert lines[2:5] == [
        "Why:  a < b & <!channel>",
        "Next: sluice logs reviews-00003",
        "See:  https://console/x?a=1&b=2",
    ]


def test_programs_get_json_and_people_text() -> None:
    message = json.loads(bodies.message(NOTICE))
    assert message["email"] == bodies.text(NOTICE)
    assert json.loads(message["default"])["command"] == "sluice logs reviews-00003"
    assert bodies.attributes(NOTICE) == {"kind": "run_failed", "pipeline": "reviews"}
    assert bodies.attributes(BARE) == {"kind": "alarm"}


@given(title=st.text(max_size=300))
def test_a_subject_is_what_sns_takes(title: str) -> None:
    said = bodies.subject(Notice("k", "alarm", "at", title), "sluice")
    assert said.isascii()
    assert len(said) < 100
    assert "\n" not in said


def test_slack_gets_blocks_in_which_nothing_of_a_reason_is_markup() -> None:
    body = json.loads(bodies.webhook(NOTICE, "slack"))
    said = [block["text"]["text"] for block in body["blocks"]]
    assert {block["type"] for block in body["blocks"]} == {"section"}
    assert "a &lt; b &amp; &lt;!channel&gt;" in said[1]
    assert "`sluice logs reviews-00003`" in said[2]
    assert said[3].startswith("<https://console/x?a=1&b=2|")
    assert body["text"] == NOTICE.title


def test_teams_gets_an_adaptive_card_in_which_nothing_is_markdown() -> None:
    (attachment,) = json.loads(bodies.webhook(NOTICE, "teams"))["attachments"]
    card: dict[str, Any] = attachment["content"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert {part["type"] for part in card["body"]} == {"RichTextBlock"}
    said = [part["inlines"][0]["text"] for part in card["body"]]
    assert said == [NOTICE.title, f"Why: {NOTICE.reason}", NOTICE.command]
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Look at it", "url": NOTICE.link}]


def test_what_a_notice_does_not_have_is_left_out() -> None:
    assert len(json.loads(bodies.webhook(BARE, "slack"))["blocks"]) == 1
    (attachment,) = json.loads(bodies.webhook(BARE, "teams"))["attachments"]
    assert (len(attachment["content"]["body"]), attachment["content"]["actions"]) == (1, [])
