"""Run Python functions as Lambda does: under AWS's runtime client, in an interpreter that has only boto3.

Ministack runs them in its own interpreter, with all its packages, reports every exception as
`Runtime.HandlerError`, and drops the execution environment after an error.
"""

from __future__ import annotations

import hashlib
import os
import queue
import secrets
import shlex
import shutil
import socket
import socketserver
import stat
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime as runtime
from ministack.services import lambda_svc as service

from sluice_local import memory as lambda_memory
from sluice_local import namespace, network
from sluice_local.gateway.guard import foreign
from sluice_local.patches.functions.logs import EnvironmentLog
from sluice_local.settings import Settings

_TASK, _PYTHON, _RUNTIME = "/var/task", "/var/lang/bin/python", "/var/runtime"
_TMP = "/tmp"  # noqa: S108 - Lambda's
# What bootstrap reads, and the function does not see: the arguments of namespace.py. What a function leaves
# behind ends with it.
_ARGUMENTS = ("SLUICE_ISOLATION", "SLUICE_FOLDERS", "SLUICE_STAGE", "SLUICE_WORKING_DIR")
_QUOTED = " ".join(f'"${name}"' for name in _ARGUMENTS)
_INVOKE_ERRORS = {"Runtime.ExitError", "Sandbox.Timedout"}


def install(settings: Settings) -> None:
    """Route every Python function to the Runtime API's worker."""
    inside = shlex.join([sys.executable, "-I", "-S", namespace.__file__, "0"])
    client = Path(namespace.__file__).with_name("runtime_client.py")
    # `python` is a link to the interpreter: its environment is around the link.
    _Environment.python = settings.lambda_python.parent.parent, client
    _Environment.certificates = network.trusted_certificates()
    _Environment.isolation = _isolation(settings)
    python, program = (
        (str(settings.lambda_python), str(client))
        if _Environment.isolation == "none"
        else (_PYTHON, f"{_RUNTIME}/{client.name}")
    )
    _Environment.bootstrap = (
        f"#!/bin/sh\nset -- {_QUOTED}\n"
        f"unset {' '.join(_ARGUMENTS)}\n"
        f'exec {inside} "$@" '
        f'{shlex.quote(python)} -P {shlex.quote(program)} "$_HANDLER"\n'
    )
    _Environment.endpoint_url = settings.endpoint_url
    _Environment.folder = settings.directory("lambda")
    _Environment.environments = settings.environments
    other_worker_class, other_emit = runtime._worker_class_for, service._emit_lambda_logs
    service._extract_zip_preserving_mode = _extract
    runtime._worker_class_for = lambda config: (
        PythonWorker if _is_python(config) else other_worker_class(config)
    )
    service._execute_function_warm = service._execute_function_provided_warm
    service._provided_runtime_code_dir = _with_bootstrap(service._provided_runtime_code_dir)
    service._provided_worker_env = _worker_environment
    service._emit_lambda_logs = lambda func, *details, **options: (
        None if _is_python(func.get("config") or func) else other_emit(func, *details, **options)
    )
    # The Runtime API's answers are written in two pieces: Nagle's algorithm would hold the second 40 ms.
    socketserver.StreamRequestHandler.disable_nagle_algorithm = True
    socketserver.ThreadingTCPServer = _WaitingServer  # type: ignore[misc]


_layers_lock = threading.Lock()


class _Environment:
    """What all execution environments are made of."""

    bootstrap: str
    isolation: str
    endpoint_url: str
    folder: Path
    environments: Path
    # The environment of the interpreter, and the program that it runs.
    python: tuple[Path, Path]
    # What this machine trusts, if that is named: as on AWS, a function trusts what its platform does.
    certificates: Path | None
    memory = lambda_memory.MemoryWatch("lambda-memory", longest_s=0.25)


_NEXT = "/runtime/invocation/next"


class _WaitingServer(socketserver.ThreadingTCPServer):
    """Sleeps until a request or its end wakes it; ministack's server looks ten times a second."""

    def serve_forever(self, poll_interval: float | None = None) -> None:
        super().serve_forever(poll_interval=None)  # type: ignore[arg-type]

    def shutdown(self) -> None:
        """Tell the loop to end, and wake it by a connection."""
        self._BaseServer__shutdown_request = True
        with suppress(OSError):
            socket.create_connection(self.server_address[:2], timeout=1).close()  # type: ignore[arg-type]
        super().shutdown()


class PythonWorker(runtime.ProvidedWorker):  # type: ignore[misc]
    """An execution environment: one process, one log stream, one /tmp."""

    def __init__(self, name: str, config: dict[str, Any], code_zip: bytes) -> None:
        super().__init__(name, dict(config), code_zip)
        self._log = EnvironmentLog(config)
        self._scratch: Path | None = None
        self._spawn_s = 0.0
        self._exit_code: int | None = None
        self._taken_id: str | None = None
        self._secret = secrets.token_urlsafe(16)
        self._peak_mb = 0
        self.memory_limit_mb = int(config.get("MemorySize", 128))
        self.is_out_of_memory = False

    def invoke(
        self,
        event: Any,
        request_id: str,
        *,
        trace_id: str | None = None,
        invoked_function_arn: str | None = None,
    ) -> dict[str, Any]:
        """Run one invocation, with the platform's log lines and Lambda's error messages."""
        if self._proc is None or self._proc.poll() is not None:
            self._log.close_stream()
        self._log.start(request_id)
        self._spawn_s = 0.0
        self.is_out_of_memory = False
        started = time.monotonic()
        result: dict[str, Any]
        try:
            with _Environment.memory.over(self):
                result = super().invoke(
                    event, request_id, trace_id=trace_id, invoked_function_arn=invoked_function_arn
                )
        except runtime.ProvidedRuntimeError:
            raise
        except RuntimeError as error:  # the function's module failed to load
            result = {"status": "error", "error_payload": self._init_failure(request_id, error)}
        payload = result.get("error_payload")
        if isinstance(payload, dict) and payload.get("errorType") in _INVOKE_ERRORS:
            result["error_payload"] = self._platform_error(payload["errorType"], request_id)
        duration_s = time.monotonic() - started - self._spawn_s
        error_type = "Runtime.OutOfMemory" if self.is_out_of_memory else ""
        result["log"] = self._log.end(duration_s, self._spawn_s, self._memory_peak_mb(), error_type)
        return result

    @property
    def supervisor_pid(self) -> int | None:
        """The process that ends what the function's process leaves behind."""
        process = self._proc
        return process.pid if process is not None and process.poll() is None else None

    def _build_handler_class(self, generation: int, pending: queue.Queue[Any]) -> Any:
        """Make the Runtime API, which answers its own function alone, and not while that has an event.

        On AWS each environment has a network of its own. Here all processes of the machine reach every port,
        so the function's address has a secret.
        """
        worker = self

        class Guarded(super()._build_handler_class(generation, pending)):  # type: ignore[misc]
            def parse_request(self) -> bool:
                if not super().parse_request():
                    return False
                headers = {name.lower(): value for name, value in self.headers.items()}
                if refusal := foreign(headers, self.server.server_address[1]):
                    self.send_error(403, refusal)
                    return False
                if not self.path.startswith(f"/{worker._secret}/"):
                    self.send_error(404)
                    return False
                return True

            def do_GET(self) -> None:
                # Else what the function started could wait for the next event, and take it.
                is_answered = worker._response_ready.is_set()
                if worker._taken_id == worker._current_request_id is not None and not is_answered:
                    self.send_error(403, "InvalidStateTransition")
                    return
                if self.path.endswith(_NEXT) and worker._mark_first_poll(generation):
                    worker._wait_for_event(generation, pending)
                super().do_GET()

            def send_header(self, keyword: str, value: str) -> None:
                if keyword == "Lambda-Runtime-Aws-Request-Id":
                    worker._taken_id = value
                super().send_header(keyword, value)

        return Guarded

    def _wait_for_event(self, generation: int, pending: queue.Queue[Any]) -> None:
        """Wait until there is an event, or the environment ends: ministack looks ten times a second.

        Forty functions that wait for events would take a twentieth of a processor.
        """
        with pending.not_empty:
            pending.not_empty.wait_for(
                lambda: pending.queue or self._stopping or generation != self._generation
            )

    def _stop_waiting(self) -> None:
        with self._pending.not_empty:
            self._pending.not_empty.notify_all()

    def _shutdown_server(self) -> None:
        self._stop_waiting()  # the environment is stopping by now
        super()._shutdown_server()

    def _spawn(self, init_timeout: float | None = None) -> None:
        started = time.monotonic()
        self._log.open_stream()
        scratch = Path(tempfile.mkdtemp(prefix=f"{self.func_name}-", dir=_Environment.folder))
        for name in ("tmp", "stage"):
            (scratch / name).mkdir()
        self.config |= {"_LogStream": self._log.stream, "_Scratch": str(scratch), "_Secret": self._secret}
        try:
            super()._spawn(init_timeout)  # which first tears down what was before, with its scratch
        finally:
            self._scratch = scratch
        self._spawn_s = time.monotonic() - started

    def _teardown(self) -> None:
        if self._proc is not None:
            self._exit_code = self._proc.poll()
            self._memory_peak_mb()
        super()._teardown()
        self._discard_scratch()

    def _discard_tmpdir(self) -> None:
        super()._discard_tmpdir()
        self._discard_scratch()

    def _discard_scratch(self) -> None:
        scratch, self._scratch = self._scratch, None
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)

    def _pump_output(self, stream: Any, log_queue: Any) -> None:
        self._log.pump(stream)

    def _drain_stderr_bounded(self, *args: float, **options: float) -> str:
        if self._proc is not None and self._log_thread is not None:
            self._log.wait_until_read(self._proc.stdout, self._log_thread)
        return ""

    def _drain_stderr(self) -> str:
        return ""

    def _init_failure(self, request_id: str, error: RuntimeError) -> dict[str, Any]:
        """Return what the runtime client reported before it exited, or that it exited without a report."""
        if isinstance(self._init_error, dict):
            return dict(self._init_error)
        if isinstance(error, runtime.ProvidedInitTimeout):
            return self._platform_error("Sandbox.Timedout", request_id)
        return self._platform_error("Runtime.ExitError", request_id)

    def _platform_error(self, kind: str, request_id: str) -> dict[str, str]:
        if kind == "Sandbox.Timedout":
            reason = f"Task timed out after {self.config.get('Timeout', 3):.2f} seconds"
        elif self._exit_code is not None and self._exit_code < 0:
            reason = "Runtime exited with error: signal: killed"
        elif self._exit_code:
            reason = f"Runtime exited with error: exit status {self._exit_code}"
        else:
            reason = "Runtime exited without providing a reason"
        self._log.platform_line(f"{request_id} {reason}")
        return {"errorType": kind, "errorMessage": f"RequestId: {request_id} Error: {reason}"}

    def _memory_peak_mb(self) -> int:
        """Return the function's peak size in megabytes."""
        if (pid := self.supervisor_pid) is not None:
            self._peak_mb = max(self._peak_mb, lambda_memory.peak_mb(pid))
        return self.memory_limit_mb if self.is_out_of_memory else min(self._peak_mb, self.memory_limit_mb)


def _is_python(config: dict[str, Any]) -> bool:
    return str(config.get("Runtime", "")).startswith("python")


def _with_bootstrap(code_dir: Any) -> Any:
    """Add a custom runtime's entry point, which a Python function lacks, to the unpacked code."""

    def unpacked(code_zip: bytes) -> str:
        folder = str(code_dir(code_zip))
        path = Path(folder, "bootstrap")
        with service._provided_code_lock:  # a fork must not inherit the descriptor that is open for writing
            if not path.exists():
                path.write_text(_Environment.bootstrap)
                path.chmod(0o755)
        return folder

    return unpacked


def _isolation(settings: Settings) -> str:
    """Return how functions get folders of their own, by trying; their own /tmp may hide the interpreter."""
    if not _is_hidden(settings.lambda_python.resolve()):
        for candidate in ("mount", "user"):
            with tempfile.TemporaryDirectory() as folder:
                parts = [Path(folder, name) for name in ("opt", "task", "tmp", "stage")]
                for part in parts:
                    part.mkdir()
                *shown, stage = map(str, parts)
                shown += map(str, _Environment.python)
                trial = ["0", candidate, f"@{':'.join(shown)}", stage, _TASK, "true"]
                command = [sys.executable, "-I", "-S", namespace.__file__, *trial]
                if subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0:
                    return candidate
    return "none"


def _is_hidden(path: Path) -> bool:
    """Tell whether a path is below /tmp, where a function sees a folder of its own."""
    return Path(_TMP) in path.parents


def _extract(archive: zipfile.ZipFile, folder: str) -> None:
    """Unpack an archive with modes and symbolic links, as Lambda does."""
    links: list[tuple[Path, str]] = []
    for info in archive.infolist():
        mode = info.external_attr >> 16
        target = archive.extract(info, folder)
        if stat.S_ISLNK(mode):
            links.append((Path(target), Path(target).read_text()))
        elif mode & 0o7777:
            Path(target).chmod(mode & 0o7777)
    # A link may lead anywhere, so nothing is written once there is one.
    for link, leads_to in links:
        link.unlink()
        link.symlink_to(leads_to)


def _layers_dir(layers: Sequence[Path]) -> Path:
    """Return a folder with the content of all layers, of which a later one covers an earlier one."""
    name = hashlib.sha256(":".join(map(str, layers)).encode()).hexdigest()[:16]
    folder = _Environment.folder.parent / "lambda-layers" / name
    with _layers_lock:
        if not folder.exists():
            draft = folder.with_suffix(".draft")
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            for layer in layers:
                shutil.copytree(layer, draft, symlinks=True, copy_function=_link, dirs_exist_ok=True)
            draft.rename(folder)
    return folder


def _link(source: str, target: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(target)
    os.link(source, target, follow_symlinks=False)


def _layer_dir(attachment: Any) -> Path | None:
    """Unpack a layer once."""
    blob = service._resolve_layer_zip(attachment)
    return Path(service._docker_extracted_dir(blob, "layer")) if blob else None


def _of_installers(config: Mapping[str, Any]) -> dict[str, str]:
    """Return this machine's settings of package indexes, for a function that is set up to use uv."""
    declared = service._runtime_env_vars(config)
    if not any(name.startswith("UV_") for name in declared):
        return {}
    kept = _Environment.environments
    folder = {} if _is_hidden(kept) else {"ENVIRONMENTS_FOLDER": str(kept)}
    return {**network.variables_of_uv(), **folder}


def _of_certificates() -> dict[str, str]:
    """Return where a function finds the certificates that this machine trusts, if it names them."""
    found = _Environment.certificates
    if found is None:
        return {}
    return {"SSL_CERT_FILE": str(found) if _Environment.isolation == "none" else f"{_RUNTIME}/{found.name}"}


def _worker_environment(config: dict[str, Any], code_dir: str, port: int) -> dict[str, str]:
    """Return Lambda's variables, the function's own, and those that lead to this cloud."""
    _account, region = runtime._account_region_from_function_config(config)
    name, lambda_runtime = config["FunctionName"], config.get("Runtime", "")
    logging = config.get("LoggingConfig") or {}
    layers = _layers_dir([path for path in map(_layer_dir, config.get("Layers") or []) if path])
    scratch = config["_Scratch"]
    mapped = _Environment.isolation != "none"
    own_tmp = f"{scratch}{_TMP}"
    opt, task, tmp = ("/opt", _TASK, _TMP) if mapped else (str(layers), code_dir, own_tmp)
    modules = ("python/lib/{lambda_runtime}/site-packages", "python")
    folders = [name.format(lambda_runtime=lambda_runtime) for name in modules]
    search = [task, *(f"{opt}/{name}" for name in folders if (layers / name).is_dir())]
    shown = [f"@{layers}", code_dir, own_tmp, *_Environment.python]
    shown += [_Environment.certificates] if _Environment.certificates else []
    environment = {
        "PATH": "/usr/local/bin:/usr/bin/:/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "HOME": tmp,
        "TMPDIR": tmp,
        "PYTHONPATH": os.pathsep.join(search),
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{lambda_runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
        "AWS_LAMBDA_FUNCTION_VERSION": config.get("Version", "$LATEST"),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": logging.get("LogGroup") or f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": config["_LogStream"],
        "AWS_LAMBDA_LOG_FORMAT": logging.get("LogFormat") or "Text",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL": _Environment.endpoint_url,
        **_of_installers(config),
        **_of_certificates(),
        **service._runtime_env_vars(config),
        **runtime.execution_credentials(config),
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}/{config['_Secret']}",
        "LAMBDA_TASK_ROOT": task,
        "_HANDLER": config.get("Handler", ""),
        "SLUICE_ISOLATION": _Environment.isolation,
        "SLUICE_FOLDERS": ":".join(map(str, shown)),
        "SLUICE_STAGE": f"{scratch}/stage",
        "SLUICE_WORKING_DIR": task,
    }
    return {name: value for name, value in environment.items() if value}
