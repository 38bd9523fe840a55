"""Adapter for webhooks: post over TLS, to an address that a secret holds."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any

from sluice.domain.notices import webhooks
from sluice.domain.notices.webhooks import WebhookError

if TYPE_CHECKING:
    from sluice.catalog.records.notices import Channel

# A webhook that takes longer is asked again by the queue.
TIMEOUT_S = 5
_ANSWER_MAX = 200


class SecretWebhooks:
    """Reads a secret each time: one that was replaced counts at once, and notices are few.

    No error has the address. A redirection is an error: it may lead to a host that nobody allowed.
    """

    def __init__(
        self,
        secrets: Mapping[Channel, str],
        hosts: Sequence[str],
        client: Any,
        tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        self._secrets = secrets
        self._hosts = hosts
        self._client = client
        self._tls = tls

    def post(self, channel: Channel, body: str) -> None:
        secret = self._client.get_secret_value(SecretId=self._secrets[channel])["SecretString"]
        to = webhooks.address(secret, channel, self._hosts)
        connection = HTTPSConnection(to.host, to.port, timeout=TIMEOUT_S, context=self._tls())
        try:
            connection.request("POST", to.path, body.encode(), {"Content-Type": "application/json"})
            with connection.getresponse() as answer:
                status, said = answer.status, answer.read(_ANSWER_MAX).decode("utf-8", "replace")
        except (OSError, HTTPException) as error:
            raise WebhookError(f"{to.host} cannot be reached: {type(error).__name__}") from None
        finally:
            connection.close()
        if not 200 <= status < 300:
            raise WebhookError(f"{to.host} answered {status} {_plain(said, to.path)}".rstrip())


def _plain(said: str, secret: str) -> Any:
    """Return one line of an answer, without the address that it may repeat."""
    return " ".join(said.replace(secret, "…").split())
