"""One deployed stack for each worker, on a local cloud that enforces IAM as AWS does."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from e2e.loop import Loop
from sluice.services.views import runs
from sluice_cli import cloud, target
from sluice_local.sagemaker.containers.container import Isolation, isolation

STACK = "e2e"


def build_once(folder: Path) -> None:
    """Run `sam build`, unless another worker has: all deploy from the one folder that it writes."""
    done = folder / "built"
    with (folder / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            cloud.build()
            done.touch()


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A home of the worker's own, for its cloud and its logs."""
    # A run that is told to end tears down too: SIGTERM alone would leave the cloud behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    os.environ["SLUICE_HOME"] = str(tmp_path_factory.mktemp("home"))
    yield
    del os.environ["SLUICE_HOME"]


@pytest.fixture(scope="session")
def built(home: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The real template, built by the SAM CLI."""
    base = tmp_path_factory.getbasetemp()
    build_once(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)


@pytest.fixture(scope="session")
def stack(built: None) -> Iterator[target.Target]:
    """The template, deployed by the SAM CLI, with execution roles enforced."""
    try:
        cloud.deploy(cloud.start(auth=True), stack=STACK)
        yield target.resolve(where="local", stack=STACK, profile=None, region=None)
    finally:
        cloud.stop()


def account(loop: Loop) -> str:
    """What a failure's cause is read from: what the pipeline and its runs did, and the cloud's log."""
    shown = {
        "status": lambda: loop.status(),
        "events": lambda: loop.events()[-20:],
        "runs": lambda: runs.runs(loop.target.cloud, loop.pipeline),
        "log": lambda: cloud.tail(target.local_state_dir().with_suffix(".log"), 30),
    }
    return "\n".join(f"{name}: {said(read)}" for name, read in shown.items())


def said(read: Callable[[], object]) -> str:
    try:
        answer = read()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return answer if isinstance(answer, str) else json.dumps(answer, default=str, indent=1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell of a test that failed what its pipeline did, while its cloud is still there."""
    report = yield
    loop = getattr(item, "funcargs", {}).get("loop")
    if report.failed and report.when == "call" and loop is not None:
        report.sections.append(("the pipeline, at the end", account(loop)))
    return report


@pytest.fixture
def loop(stack: target.Target, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Loop]:
    """A pipeline of the test's own."""
    digest = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:10]
    wanted = request.node.get_closest_marker("backend")
    # Most tests are of what happens around jobs: on Lambda a pipeline's first ones unpack its packages, which
    # takes longer than the whole run. Where no folder can be mapped, none run there.
    usual = wanted is None or isolation() is Isolation.NONE
    loop = Loop(stack, f"t{digest}", tmp_path, "sagemaker" if usual else wanted.args[0])
    yield loop
    loop.deliver_normally()
