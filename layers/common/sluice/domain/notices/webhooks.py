"""Decide where a webhook may lead: what is posted there is told to others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from sluice.catalog.records.notices import Channel
from sluice.lazy import dataclass

# Slack's incoming webhooks; workflows of Teams, and its connectors, which are being retired.
_HOSTS: dict[Channel, Sequence[str]] = {
    "slack": ("hooks.slack.com", "hooks.slack-gov.com"),
    "teams": (".logic.azure.com", ".logic.azure.us", ".api.powerplatform.com", ".webhook.office.com"),
}
_HTTPS = 443


class WebhookError(Exception):
    """A webhook did not take a notice, or may not be asked to; the message never has its address."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to post to; its path is a secret."""

    host: str
    port: int
    path: str


def address(secret: str, channel: Channel, stated: Sequence[str] = ()) -> Address:
    """Read a webhook's address: https, on a host of its product or one that the account states.

    The secret is the address, or JSON with it as `url`. Raises WebhookError, without saying the address.
    """
    parts = _parts(secret)
    host, port = parts.hostname or "", _port(parts)
    if parts.scheme != "https":
        raise WebhookError(f"the secret of {channel} is no https address")
    if parts.username is not None or not (
        _is_known(host, port, channel) or f"{host}:{port}" in _stated(stated)
    ):
        named = host if port == _HTTPS else f"{host}:{port}"
        raise WebhookError(f"{named!r} is no host of {channel}: name it in the parameter WebhookHosts")
    query = f"?{parts.query}" if parts.query else ""
    return Address(host, port, f"{parts.path or '/'}{query}")


def _is_known(host: str, port: int, channel: Channel) -> bool:
    """A host that begins with a dot stands for all below it."""
    known = (host.endswith(each) if each.startswith(".") else host == each for each in _HOSTS[channel])
    return port == _HTTPS and any(known)


def _stated(hosts: Sequence[str]) -> set[str]:
    return {each.lower() if ":" in each else f"{each.lower()}:{_HTTPS}" for each in hosts}


def _parts(secret: str) -> SplitResult:
    said = secret.strip()
    try:
        if said.startswith("{"):
            said = str(json.loads(said)["url"])
        return urlsplit(said)
    except (ValueError, KeyError, TypeError):
        # Not the cause: it says what the secret holds.
        raise WebhookError("the secret is no address, nor JSON with an address as `url`") from None


def _port(parts: SplitResult) -> int:
    try:
        return parts.port or _HTTPS
    except ValueError:
        return 0
