"""Start and stop the local cloud, and deploy the template to it with the real SAM CLI."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import ClientError

from sluice_cli import target as targets
from sluice_cli.errors import CommandError
from sluice_cli.target import REPOSITORY
from sluice_local.state import state_lock

SAM = REPOSITORY / ".venv/envs/sam/bin/sam"
# A checkout may be read-only.
BUILD_DIR = (REPOSITORY if os.access(REPOSITORY, os.W_OK) else targets.home()) / ".aws-sam/build"
# One that died is noticed at once; a slow machine may need this long to continue from much state.
START_TIMEOUT_S = 180
STOP_TIMEOUT_S = 30
PACKAGE_BUCKET = "sluice-packages"
_SOURCES = ("template.yaml", "samconfig.toml", "functions", "layers", "statemachines")

# The clouds that this process started: one that ended stays a zombie until it is polled.
_started = set[int]()


def start(*, port: int = 0, auth: bool = False, fresh: bool = False) -> dict[str, Any]:
    """Start the local cloud in the background unless it is running; returns its ready file.

    It continues from the saved state; `fresh` discards that. Raises CommandError if one runs that is not as
    asked for: on another port, or without `auth`.
    """
    if (ready := targets.local_cloud()) is not None:
        if port not in (0, ready["port"]):
            raise CommandError(
                f"the local cloud runs on port {ready['port']} already",
                hint=f"`sluice down`, then `sluice up --port {port}`: it continues with all that is in it.",
            )
        if auth and not ready.get("auth"):
            raise CommandError(
                "the local cloud runs already, and without --auth",
                hint="`sluice down`, then `sluice up --auth`: it continues with all that is in it.",
            )
        return ready
    state_dir = targets.local_state_dir()
    log_path = state_dir.with_suffix(".log")
    _make(state_dir, log_path)
    command = [sys.executable, "-m", "sluice_local", "--port", str(port), "--state-dir", str(state_dir)]
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [*command, *(["--auth"] if auth else []), *(["--fresh"] if fresh else [])],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    ready = None
    try:
        ready = _ready(process)
    finally:
        # It is in a session of its own: a signal that ends this one, too, leaves it.
        if (code := process.poll()) is None:
            adopt(process)
            if ready is None:
                stop_process(process.pid)
    if ready is not None:
        return ready
    last = tail(log_path, 1)
    if code == 1 and last.startswith("error: "):
        raise CommandError(last.removeprefix("error: "))
    raise CommandError("the local cloud did not start", hint=f"Its log is {log_path}:\n{tail(log_path)}")


def _ready(process: subprocess.Popen[bytes]) -> dict[str, Any] | None:
    """Wait until the local cloud is ready, which another command may have started a moment before."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if (ready := targets.local_cloud()) is not None:
            return ready
        if process.poll() is not None and targets.local_pid() is None:
            return None
        time.sleep(0.05)
    return None


def _make(state_dir: Path, log_path: Path) -> None:
    """Make the folder and the log, which may be there and be read-only by now."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        log_path.open("ab").close()
    except OSError as error:
        raise CommandError(
            f"the local cloud cannot keep its state in {state_dir}: {error.strerror}",
            hint="The environment variable SLUICE_HOME names another folder for all that it writes.",
        ) from error


def stop() -> bool:
    """Stop the local cloud; returns False if none was running."""
    pid = targets.local_pid()
    if pid is not None:
        stop_process(pid)
    if targets.local_pid() is None:
        (targets.local_state_dir() / "ready.json").unlink(missing_ok=True)
    return pid is not None


def stop_process(pid: int) -> None:
    """Ask a process to end, wait for it, and kill it if it does not."""
    born = state_lock.birth(pid)
    for sig, patience_s in ((signal.SIGTERM, STOP_TIMEOUT_S), (signal.SIGKILL, 5)):
        if not is_alive(pid, born):
            return
        with suppress(ProcessLookupError):
            os.kill(pid, sig)
        deadline = time.monotonic() + patience_s
        while is_alive(pid, born) and time.monotonic() < deadline:
            time.sleep(0.05)


def is_alive(pid: int, born: str | None) -> bool:
    """Tell whether the process with this id and start time is running; ids are reused."""
    if pid in _started:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # reap the child if it has ended
    return born is not None and state_lock.birth(pid) == born


def adopt(process: subprocess.Popen[bytes]) -> None:
    """Take over a child that outlives what started it, and perhaps us, so that its end is noticed here."""
    _started.add(process.pid)
    process.returncode = 0  # it is waited for here


def tail(path: Path, lines: int = 15) -> str:
    """Return the last lines of a log."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def runtime() -> str:
    """Return the Lambda runtime of local functions: this checkout's interpreter."""
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def architecture() -> str:
    """Return the Lambda architecture of local functions: this machine's."""
    return "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"


@contextmanager
def deploying() -> Iterator[None]:
    """Wait until no other command builds or deploys from this checkout, and let none begin in the block."""
    BUILD_DIR.parent.mkdir(parents=True, exist_ok=True)
    with (BUILD_DIR.parent / "deploying.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build(template: Path = REPOSITORY / "template.yaml", build_dir: Path = BUILD_DIR) -> None:
    """Run `sam build` for the template."""
    folders = ["--template-file", str(template), "--build-dir", str(build_dir)]
    parameters = [f"PythonRuntime={runtime()}", f"Architecture={architecture()}"]
    cache = ["--cached", "--cache-dir", str(build_dir.parent / "cache")]
    options = [*cache, "--parallel", "--parameter-overrides", *parameters]
    environment = {"PYTHON_RUNTIME": runtime(), "LAMBDA_ARCHITECTURE": architecture()}
    run_sam(["build", *folders, *options], environment, log="sam-build")


def deploy(
    ready: Mapping[str, Any],
    *,
    stack: str,
    template: Path = BUILD_DIR / "template.yaml",
    parameters: Mapping[str, str] | None = None,
) -> None:
    """Run `sam deploy` of a built template on the local cloud; parameters not given keep their values."""
    environment = {**targets.local_environment(dict(ready)), "SAM_CLI_POLL_DELAY": "0.1"}
    s3 = targets.local_session(dict(ready)).client("s3", endpoint_url=ready["endpoint_url"])
    s3.create_bucket(Bucket=PACKAGE_BUCKET)
    sources = source_digest()
    options = [
        "--template-file",
        str(in_json(template)),
        "--stack-name",
        stack,
        "--s3-bucket",
        PACKAGE_BUCKET,
    ]
    own = {"PythonRuntime": runtime(), "Architecture": architecture(), "LogRetentionDays": "1"}
    overrides = {**own, "Console": "true", **(parameters or {})}
    given = ["--parameter-overrides", *(f"{name}={value}" for name, value in overrides.items())]
    configuration = ["--config-file", str(REPOSITORY / "samconfig.toml"), "--config-env", "local"]
    run_sam(["deploy", *configuration, *options, *given], environment, log="sam-deploy")
    s3.put_object(Bucket=PACKAGE_BUCKET, Key=f"deployed/{stack}", Body=sources.encode())


def in_json(template: Path) -> Path:
    """Write a built template as JSON beside itself: the SAM CLI reads it seven times, and YAML slowly."""
    content = yaml.load(template.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    with tempfile.NamedTemporaryFile("w", dir=template.parent, delete=False) as draft:
        json.dump(content, draft)
    return Path(draft.name).replace(template.with_suffix(".json"))  # others may deploy from this folder too


def is_deployed(ready: Mapping[str, Any], *, stack: str) -> bool:
    """Tell whether the stack is deployed from the checkout's current template and code."""
    session, url = targets.local_session(dict(ready)), ready["endpoint_url"]
    try:
        found = session.client("cloudformation", endpoint_url=url).describe_stacks(StackName=stack)
        if found["Stacks"][0]["StackStatus"] == "CREATE_FAILED":
            raise CommandError(
                f"the local cloud ended while the stack {stack} was being created",
                hint="`sluice up --fresh` starts anew.",
            )
        answer = session.client("s3", endpoint_url=url).get_object(
            Bucket=PACKAGE_BUCKET, Key=f"deployed/{stack}"
        )
    except ClientError:
        return False
    status = found["Stacks"][0]["StackStatus"]
    return (
        status in ("CREATE_COMPLETE", "UPDATE_COMPLETE") and answer["Body"].read().decode() == source_digest()
    )


def source_digest() -> str:
    """Digest everything that a deployment is made of."""
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(path for source in _SOURCES for path in _files(REPOSITORY / source)):
        digest.update(f"{path.relative_to(REPOSITORY)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _files(source: Path) -> Iterator[Path]:
    made = {"__pycache__", "node_modules"}
    for path in source.rglob("*") if source.is_dir() else [source]:
        if path.is_file() and not made & {*path.parts} and ".egg-info" not in str(path):
            yield path


def run_sam(arguments: list[str], environment: Mapping[str, str], *, log: str) -> None:
    """Run the SAM CLI, writing its output to a log; if it fails, the log's tail becomes the error."""
    log_path = targets.home() / f"{log}.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    path = f"{REPOSITORY / '.venv/bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    # It leaves a temporary folder for each archive that it makes.
    with log_path.open("wb") as output, tempfile.TemporaryDirectory() as scratch:
        result = subprocess.run(
            [str(SAM), *arguments],
            cwd=BUILD_DIR.parents[1],  # it makes folders there
            env={**os.environ, **environment, "PATH": path, "TMPDIR": scratch, "SAM_CLI_TELEMETRY": "0"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if result.returncode:
        raise CommandError(f"sam {arguments[0]} failed", hint=f"{log_path}:\n{tail(log_path, 25)}")
