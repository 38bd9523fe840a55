"""Serve the local cloud: ministack in this process on loopback, corrected by our patches."""

from __future__ import annotations

import asyncio
import errno
import importlib
import json
import logging
import os
import shutil
import signal
import socket
import urllib.request
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from sluice_local import http_server, network, processes
from sluice_local.gateway.guard import guarded
from sluice_local.gateway.local_api import IDENTITY_PATH, with_local_paths
from sluice_local.keeper import Keeper
from sluice_local.settings import ROOT_KEY, ROOT_SECRET, Settings
from sluice_local.state import saver

__all__ = ["PATCHES", "PortError", "Settings", "free_socket", "serve"]

# In order of installation: a later patch may wrap what an earlier one replaced.
PATCHES = (
    "sluice_local.patches.functions.runtime",
    "sluice_local.patches.functions.concurrency",
    "sluice_local.patches.functions.async_invocation",
    "sluice_local.patches.events.eventbridge",
    "sluice_local.patches.sqs",
    "sluice_local.patches.s3",
    "sluice_local.patches.dynamodb",
    "sluice_local.patches.cloudformation.templates",
    "sluice_local.patches.cloudformation.provisioning",
    "sluice_local.patches.cloudformation.sam_transform",
    "sluice_local.patches.alarms.cloudwatch",
    "sluice_local.patches.states.stepfunctions",
    "sluice_local.sagemaker",
    "sluice_local.autoscaling",
    "sluice_local.patches.iam.enforcement",
)


class PortError(RuntimeError):
    """The cloud cannot listen on the port."""


def free_socket(port: int = 0) -> socket.socket:
    """Bind loopback now, so that we own and know the port before ministack is imported.

    Raises PortError.
    """
    # Unless a socket says that it is TCP, asyncio leaves Nagle's algorithm on: an answer takes 40 ms more.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", port))
        sock.listen(128)
    except (OSError, OverflowError) as error:
        sock.close()
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            reason = f"Port {port} of 127.0.0.1 is already in use by another program."
        else:
            reason = f"Port {port} of 127.0.0.1 cannot be used: {getattr(error, 'strerror', None) or error}."
        raise PortError(f"{reason} Name another with --port, or 0 for any free one.") from error
    return sock


def listening_socket(port: int, state_dir: Path, *, fresh: bool = False) -> socket.socket:
    """Bind the requested port, else the last one, which URLs of queues contain.

    Raises PortError.
    """
    remembered = 0 if port or fresh else saver.last_port(Settings(0, state_dir).saved)
    try:
        return free_socket(port or remembered)
    except PortError:
        if port:
            raise
        return free_socket()


def serve(settings: Settings, sock: socket.socket) -> None:
    """Run until SIGTERM or SIGINT; every child process is gone when this returns."""
    for leftover in ("tmp", "lambda", "lambda-layers", "endpoints", *(("saved",) if settings.fresh else ())):
        shutil.rmtree(settings.state_dir / leftover, ignore_errors=True)
    _set_environment(settings)
    try:
        asyncio.run(_serve(settings, sock))
    finally:
        settings.ready_file.unlink(missing_ok=True)
        processes.end_descendants(os.getpid())


def _set_environment(settings: Settings) -> None:
    """Set ministack's configuration, which it reads from the environment, mostly on import."""
    os.environ.update(
        GATEWAY_PORT=str(settings.port),
        AUTH="true" if settings.auth else "false",
        MINISTACK_HOST="127.0.0.1",
        MINISTACK_ACCOUNT_ID=settings.account,
        MINISTACK_REGION=settings.region,
        AWS_DEFAULT_REGION=settings.region,
        AWS_ACCESS_KEY_ID=ROOT_KEY,  # ministack would take the user's own key for the root user's
        AWS_SECRET_ACCESS_KEY=ROOT_SECRET,
        AWS_ENDPOINT_URL=settings.endpoint_url,
        TMPDIR=str(settings.directory("tmp")),
        PERSIST_STATE="0",
        S3_PERSIST="0",
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
        LOG_LEVEL="WARNING",
        **network.keep_certificates(settings.directory("certificates")),
    )
    os.environ.pop("AWS_SESSION_TOKEN", None)


def _application(settings: Settings) -> tuple[Any, Keeper]:
    """Make ministack's ASGI application with all patches installed, and the keeper of its state."""
    import ministack.app

    for name in PATCHES:
        importlib.import_module(name).install(settings)
    from sluice_local.gateway import signatures
    from sluice_local.patches.events import delivery
    from sluice_local.patches.iam import ledger
    from sluice_local.sagemaker.hosting import faults
    from sluice_local.sagemaker.jobs import capacity
    from sluice_local.sagemaker.jobs.training import TRAINING

    signatures.install(settings)
    identity = {"pid": processes.guardian_pid(), "port": settings.port}
    paths = {module.PATH: module.answer for module in (delivery, faults, ledger)}
    paths[capacity.PATH] = partial(capacity.answer, TRAINING)
    paths[IDENTITY_PATH] = lambda method, body: (200, identity)
    keeper = Keeper(settings)
    application = keeper.watching(with_local_paths(ministack.app.app, paths))
    return guarded(application, settings), keeper


async def _serve(settings: Settings, sock: socket.socket) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    application, keeper = _application(settings)

    def stop_if_it_failed(announcing: asyncio.Task[None]) -> None:
        if _failure(announcing):
            stopping.set()

    announcing = asyncio.create_task(_announce(settings, keeper))
    announcing.add_done_callback(stop_if_it_failed)
    await http_server.serve(application, sock, stopping)
    if error := _failure(announcing):
        raise error  # what was saved stays: a state that is half continued is not saved over it
    announcing.cancel()
    keeper.stop()


def _failure(task: asyncio.Task[None]) -> BaseException | None:
    """Return what a task failed by; None while it runs, and if it was cancelled."""
    return task.exception() if task.done() and not task.cancelled() else None


async def _announce(settings: Settings, keeper: Keeper) -> None:
    """Write the ready file once a request is answered."""
    url = f"{settings.endpoint_url}{IDENTITY_PATH}"
    while not await asyncio.to_thread(_answers, url):
        await asyncio.sleep(0.02)
    continued = await asyncio.to_thread(keeper.go_on)
    ready = {
        "pid": processes.guardian_pid(),
        "port": settings.port,
        "endpoint_url": settings.endpoint_url,
        "account": settings.account,
        "region": settings.region,
        "auth": settings.auth,
        **({"continued": continued} if continued else {}),
    }
    draft = settings.ready_file.with_suffix(".tmp")
    draft.write_text(json.dumps(ready))
    draft.replace(settings.ready_file)
    logging.getLogger(__name__).warning("ready on %s", settings.endpoint_url)


def _answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310
        return bool(response.status == 200)
    return False
