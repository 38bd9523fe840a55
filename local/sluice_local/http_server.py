"""Serve an ASGI application on a bound socket, in little time for each request."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

from uvicorn import Config, Server


class _Server(Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process, which ends more than this."""
        yield


async def serve(application: Any, sock: socket.socket, stopping: asyncio.Event) -> None:
    """Serve until `stopping` is set; then requests under way have a second to end."""
    server = _Server(
        Config(
            application,
            http="httptools",
            ws="wsproto",
            lifespan="on",
            log_config=None,
            access_log=False,
            # The application sets both as AWS does.
            server_header=False,
            date_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
    )

    async def stop() -> None:
        await stopping.wait()
        server.should_exit = True

    waiting = asyncio.create_task(stop())
    try:
        await server.serve([sock])
    finally:
        waiting.cancel()
