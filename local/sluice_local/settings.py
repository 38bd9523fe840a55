"""What a local cloud is started with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
# The account's root user.
ROOT_KEY = ROOT_SECRET = "test"  # noqa: S105 - what every local AWS is asked with


@dataclass(frozen=True, slots=True)
class Settings:
    """One running local cloud: where it listens, where it keeps its files, what it enforces."""

    port: int
    state_dir: Path
    auth: bool = False
    fresh: bool = False
    account: str = "000000000000"
    region: str = "us-east-1"
    lambda_python: Path = REPOSITORY / ".venv/envs/lambda/bin/python"
    lambda_slots: int = 3
    max_jobs: int = 2
    # SageMaker's images, as environments: outside the state directory, as they take long to build.
    image_cache: Path = REPOSITORY / ".sluice/venvs"
    # A job that is asked to stop has so long to do so.
    job_stop_grace_s: float = 120.0
    # AWS waits one minute, then two, before it retries a failed asynchronous invocation.
    async_retry_delays_s: tuple[float, ...] = (0.2, 0.4)

    @property
    def endpoint_url(self) -> str:
        """The address every AWS client uses."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ready_file(self) -> Path:
        """Written (pid, port, endpoint_url, account, region) once the cloud answers."""
        return self.state_dir / "ready.json"

    @property
    def saved(self) -> Path:
        """What the cloud knows, for the next one that is started with the same state directory."""
        return self.state_dir / "saved"

    def directory(self, name: str) -> Path:
        """A folder of the state directory, made if absent."""
        path = self.state_dir / name
        path.mkdir(parents=True, exist_ok=True)
        return path
