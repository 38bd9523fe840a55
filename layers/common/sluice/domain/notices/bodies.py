"""Write a notice as each channel takes it: text, JSON for programs, blocks of Slack, a card of Teams."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from sluice.catalog.records.notices import Channel, Notice

# SNS: ASCII, one line.
_SUBJECT_MAX = 99
_ADAPTIVE_CARD = "application/vnd.microsoft.card.adaptive"
_SHOWN = ("key", "kind", "pipeline", "at", "title", "reason", "command", "link", "is_over")


def subject(notice: Notice, stack: str) -> str:
    said = f"[{stack}] {' '.join(notice.title.split())}"
    plain = said.encode("ascii", "replace").decode()
    return plain if len(plain) <= _SUBJECT_MAX else f"{plain[: _SUBJECT_MAX - 3]}..."


def text(notice: Notice) -> str:
    lines = [notice.title, ""]
    lines += [f"Why:  {notice.reason}"] if notice.reason else []
    lines += [f"Next: {notice.command}"] if notice.command else []
    lines += [f"See:  {notice.link}"] if notice.link else []
    return "\n".join([*lines, f"When: {notice.at}"])


def message(notice: Notice) -> str:
    """Return the message for SNS: text for people's e-mail, JSON for all other subscribers."""
    document = {name: getattr(notice, name) for name in _SHOWN}
    return json.dumps({"default": json.dumps(document), "email": text(notice)})


def attributes(notice: Notice) -> dict[str, str]:
    """Return what a subscriber of the topic may filter by."""
    return {"kind": notice.kind, **({"pipeline": notice.pipeline} if notice.pipeline else {})}


def webhook(notice: Notice, channel: Channel) -> str:
    """Return the body that a channel's webhook takes."""
    return json.dumps(_WRITERS[channel](notice))


def _slack(notice: Notice) -> Mapping[str, Any]:
    parts = [f"{':white_check_mark:' if notice.is_over else ':bell:'} *{_mrkdwn(notice.title)}*"]
    parts += [f"*Why:* {_mrkdwn(notice.reason)}"] if notice.reason else []
    parts += [f"*Next:* `{_mrkdwn(notice.command)}`"] if notice.command else []
    parts += [f"<{notice.link}|Look at it>"] if notice.link else []
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": part}} for part in parts]
    # The text is what a notification on a telephone shows.
    return {"text": _mrkdwn(notice.title), "blocks": blocks}


def _mrkdwn(said: str) -> str:
    """Escape the characters that Slack reads as markup of its own."""
    return said.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _teams(notice: Notice) -> Mapping[str, Any]:
    """Return a card for a workflow's webhook; runs of text are not read as Markdown."""
    body = [_run(notice.title, weight="Bolder", color="Good" if notice.is_over else "Attention")]
    body += [_run(f"Why: {notice.reason}")] if notice.reason else []
    body += [_run(notice.command, fontType="Monospace")] if notice.command else []
    opened = [{"type": "Action.OpenUrl", "title": "Look at it", "url": notice.link}] if notice.link else []
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": opened,
    }
    attachment = {"contentType": _ADAPTIVE_CARD, "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _run(said: str, **style: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": said, **style}]}


_WRITERS: Mapping[Channel, Callable[[Notice], Mapping[str, Any]]] = {"slack": _slack, "teams": _teams}
