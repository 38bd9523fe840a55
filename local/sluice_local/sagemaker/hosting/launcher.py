"""Start, call and stop an endpoint's model servers: a container for each production variant."""

from __future__ import annotations

import http.client
import queue
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sluice.containers.output import Transcript
from sluice_local.sagemaker.api import credentials
from sluice_local.sagemaker.api.core import Scope, now
from sluice_local.sagemaker.containers import images
from sluice_local.sagemaker.containers.channels import JobStorage
from sluice_local.sagemaker.containers.container import (
    OPT_ML,
    Container,
    Sandbox,
    available_cpus,
    environment,
)
from sluice_local.sagemaker.containers.images import ImageCache, ImageError
from sluice_local.sagemaker.containers.logs import LogStream
from sluice_local.sagemaker.hosting.model_data import ModelDataError, unpack

_SERVING = Path(__file__).resolve().parents[2] / "serving"

_PARALLEL_REQUESTS = 32
_INVOCATION_TIMEOUT_S = 60.0
_PING_EVERY_S = 0.03
_PING_TIMEOUT_S = 2.0
_STOP_GRACE_S = 30.0
_RESTART_AFTER_S = 0.5


class HostingError(Exception):
    """A server cannot be started; the message is for the endpoint's FailureReason."""


class NotServingError(Exception):
    """The server takes no more requests: its fleet was replaced."""


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """A container definition to serve, and its variant of the endpoint."""

    scope: Scope
    endpoint: str
    variant: str
    role_arn: str
    image: str
    model_data_url: str | None
    environment: Mapping[str, str]
    memory_mb: int | None
    startup_timeout_s: float = 240.0
    log_group: str | None = None
    """By default the endpoint's."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A container's answer, with lower-case header names, and its duration without `setup_s`.

    Status 0 means that it did not answer; then the body says why. `setup_s` is how long the request waited
    for the container to start, if it did.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    setup_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Launcher:
    """What is needed to start servers: a folder for their files, the images, and AWS's address."""

    directory: Path
    images: ImageCache
    endpoint_url: str

    def launch(self, spec: ServerSpec) -> ModelServer:
        """Start a server, which becomes healthy later; raises HostingError."""
        directory = self.directory / f"{spec.endpoint}-{uuid.uuid4().hex[:12]}"
        try:
            sandbox = self._sandbox(spec, directory)
        except (ModelDataError, ImageError) as error:
            shutil.rmtree(directory, ignore_errors=True)
            raise HostingError(str(error)) from error
        port = _ReservedPort()
        command = [str(sandbox.python.python), str(_SERVING)]
        variables = self._variables(spec, sandbox, port.number)
        return ModelServer(spec, lambda: sandbox.start(command, variables), port, directory)

    def _sandbox(self, spec: ServerSpec, directory: Path) -> Sandbox:
        """Return a container's files: the model, the code, and an environment with what the code requires."""
        unpacked = directory / "unpacked"
        unpacked.mkdir(parents=True)
        storage = JobStorage(spec.scope, spec.role_arn, self.endpoint_url)
        if spec.model_data_url:
            unpack(storage, spec.model_data_url, unpacked / "model")
        code = unpacked / "model/code"
        submitted = spec.environment.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
        if submitted.startswith("s3://"):
            code = unpacked / "code"
            unpack(storage, submitted, code)
        image, is_to_install = environment(self.images, spec.image, code)
        sandbox = Sandbox.create(directory / "container", image, memory_mb=spec.memory_mb)
        (sandbox.ml / "model").mkdir()
        for folder in unpacked.iterdir():
            folder.replace(sandbox.ml / folder.name)
        if is_to_install:
            sandbox.install(str(OPT_ML / code.relative_to(unpacked)), spec.environment)
        _make_read_only(sandbox.ml / "model")
        return sandbox

    def _variables(self, spec: ServerSpec, sandbox: Sandbox, port: int) -> dict[str, str]:
        """Return the model's own variables, with what SageMaker adds."""
        submitted = spec.environment.get("SAGEMAKER_SUBMIT_DIRECTORY", str(OPT_ML / "model/code"))
        if submitted.startswith("s3://"):
            submitted = str(OPT_ML / "code")
        return {
            **sandbox.variables(available_cpus()),
            **credentials.variables(spec.scope, spec.role_arn, self.endpoint_url),
            "SAGEMAKER_REGION": spec.scope.region,
            **spec.environment,
            "SAGEMAKER_BASE_DIR": str(OPT_ML),
            "SAGEMAKER_BIND_TO_PORT": str(port),
            "SAGEMAKER_SUBMIT_DIRECTORY": submitted,
        }


class ModelServer:
    """A container that serves a model, with open connections and parallel requests.

    If it ends while it serves, it is restarted, as SageMaker does.
    """

    def __init__(
        self, spec: ServerSpec, start: Callable[[], Container], port: _ReservedPort, directory: Path
    ) -> None:
        self.spec = spec
        self.deployed_image = {
            "SpecifiedImage": spec.image,
            "ResolvedImage": images.resolved(spec.image),
            "ResolutionTime": now(),
        }
        self._port = port
        self._directory = directory
        self._idle: queue.LifoQueue[http.client.HTTPConnection] = queue.LifoQueue()
        self._requests = ThreadPoolExecutor(_PARALLEL_REQUESTS, f"{spec.endpoint}-{spec.variant}")
        stream = f"{spec.variant}/i-{uuid.uuid4().hex[:17]}"
        group = spec.log_group or f"/aws/sagemaker/Endpoints/{spec.endpoint}"
        self._transcript = Transcript(LogStream(spec.scope, group, stream).write)
        self._lock = threading.Lock()
        self._serving = threading.Event()
        self._stopping = threading.Event()
        self._start = start
        self._container = start()
        self._keeper = threading.Thread(target=self._keep_running, name=stream, daemon=True)
        self._keeper.start()

    def wait_until_healthy(self, cancelled: threading.Event) -> None:
        """Wait until /ping answers 200; raises HostingError if it does not in time, or the process ends."""
        deadline = time.monotonic() + self.spec.startup_timeout_s
        while not self._is_healthy():
            if (code := self._container.wait(_PING_EVERY_S)) is not None:
                self._keeper.join()
                raise self._unhealthy(self._why_ended(code))
            if time.monotonic() > deadline or cancelled.is_set():
                raise self._unhealthy("It did not answer in time.")
        self._serving.set()

    def submit(self, body: bytes, headers: Mapping[str, str]) -> Future[Reply]:
        """POST to /invocations; raises NotServingError once the server is stopping."""
        try:
            return self._requests.submit(self._invoke, body, headers)
        except RuntimeError as error:
            raise NotServingError from error

    def stop(self) -> None:
        """Answer pending requests, end the process and remove its files."""
        self._requests.shutdown()
        with self._lock:
            self._stopping.set()
        self._container.stop(_STOP_GRACE_S)
        self._keeper.join()
        self._port.release()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _keep_running(self) -> None:
        """Log the container's output, and restart it if it should not have ended."""
        while True:
            self._transcript.follow(self._container.output, lambda: self._container.has_ended)
            self._container.wait()
            if not self._serving.is_set() or self._stopping.wait(_RESTART_AFTER_S):
                return
            with self._lock:
                if self._stopping.is_set():
                    return
                self._idle = queue.LifoQueue()  # old connections are dead
                self._container = self._start()

    def _invoke(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        started = time.perf_counter()
        try:
            status, answered, content = self._exchange(body, headers)
        except TimeoutError:
            message = b"Your invocation timed out while waiting for a response from container primary."
            return Reply(0, {}, message, time.perf_counter() - started)
        except (OSError, http.client.HTTPException):
            message = b"The container primary closed the connection without a response."
            return Reply(0, {}, message, time.perf_counter() - started)
        return Reply(status, answered, content, time.perf_counter() - started)

    def _exchange(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        idle = self._idle
        try:
            connection = idle.get_nowait()
        except queue.Empty:
            connection = self._connection(_INVOCATION_TIMEOUT_S)
        try:
            connection.request("POST", "/invocations", body, dict(headers))
            response = connection.getresponse()
            content = response.read()
        except BaseException:
            connection.close()
            raise
        idle.put(connection)
        return response.status, {name.lower(): value for name, value in response.headers.items()}, content

    def _is_healthy(self) -> bool:
        connection = self._connection(_PING_TIMEOUT_S)
        with suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        return False

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port.number, timeout=timeout_s)

    def _unhealthy(self, cause: str) -> HostingError:
        return HostingError(
            f"The primary container for production variant {self.spec.variant} did not pass the ping health "
            f"check. Please check CloudWatch logs for this endpoint. {cause}"
        )

    def _why_ended(self, code: int) -> str:
        """Say that memory ended it, or which exception: the last line of its traceback."""
        if self._container.is_out_of_memory:
            return f"It held more than the {self.spec.memory_mb} MB that it has (exit code {code})."
        return self._transcript.traceback().rpartition("\n")[2] or f"It ended with exit code {code}."


class _ReservedPort:
    """A free port that stays ours: bound without listening, and shared with the server."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number: int = self._socket.getsockname()[1]

    def release(self) -> None:
        self._socket.close()


def _make_read_only(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
