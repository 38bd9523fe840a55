"""Restore the state when the host starts, save it while it serves, and once more at the end."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sluice_local.gateway.local_api import Application, Receive, Send
from sluice_local.settings import Settings
from sluice_local.state import saver

_READS = frozenset({"GET", "HEAD", "OPTIONS"})


class Keeper:
    """Keeps the state; made after all patches are installed, as they register what to keep."""

    def __init__(self, settings: Settings) -> None:
        # Import it only now: ministack reads its environment on import.
        from sluice_local import interrupted
        from sluice_local.state import moving, stores

        kept = stores.all_stores()
        self._continued = saver.resume(settings.saved, kept)
        if self._continued:
            if self._continued.port != settings.port:
                moving.move(self._continued.port, settings.port)
            interrupted.before_requests()
        about = {"port": settings.port, "account": settings.account, "region": settings.region}
        self._saver = saver.Saver(settings.saved, kept, about)

    def watching(self, application: Application) -> Application:
        """Wrap the application, so that each request that may change something leads to a save."""

        async def watched(scope: Any, receive: Receive, send: Send) -> None:
            await application(scope, receive, send)
            if scope["type"] == "http" and scope["method"] not in _READS:
                self._saver.changed()

        return watched

    def go_on(self) -> dict[str, Any] | None:
        """Begin to save, once requests are answered; returns what was restored, None if nothing was."""
        from sluice_local import interrupted

        went_on = {**asdict(self._continued), **interrupted.end()} if self._continued else None
        self._saver.start()
        return went_on

    def stop(self) -> None:
        """Save a last time."""
        self._saver.stop()
