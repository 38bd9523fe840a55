"""Until AWS has answered once: say on a terminal what a command waits for, and give up soon."""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ConnectionError as NoConnectionError

from sluice_cli.output import err, escape

SILENT_S = 2.0
CONNECT_TIMEOUT_S = 3
# botocore would connect five times, and wait for up to 20 s between. Once AWS has answered, it may.
_ATTEMPTS = 2


class FirstContact:
    """Until the first answer to any client of a session."""

    def __init__(self, session: boto3.Session) -> None:
        self._is_over = False
        self._tells: threading.Timer | None = None
        session.events.register("before-send", self._begins)
        session.events.register_first("needs-retry", self._gives_up)
        session.events.register("after-call", self._ends)

    def _begins(self, request: Any, **_: Any) -> None:
        if self._is_over or self._tells is not None:
            return
        host = urlsplit(request.url).hostname
        self._tells = threading.Timer(SILENT_S, self._tell, [host])
        self._tells.daemon = True
        self._tells.start()

    def _tell(self, host: str) -> None:
        if err.is_terminal and not self._is_over:
            err.print(f"[dim]waiting for an answer of {escape(host)}[/]")

    def _gives_up(self, attempts: int, caught_exception: Exception | None = None, **_: Any) -> None:
        """Raise what prevents a connection: botocore's handlers, which come next, would retry."""
        if self._is_over or attempts < _ATTEMPTS:
            return
        if isinstance(caught_exception, NoConnectionError):
            self._be_silent()
            raise caught_exception

    def _ends(self, **_: Any) -> None:
        self._is_over = True
        self._be_silent()

    def _be_silent(self) -> None:
        if self._tells is not None:
            self._tells.cancel()
