"""Settings of a local cloud."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
# The account's root user.
ROOT_KEY = ROOT_SECRET = "test"  # noqa: S105 - the usual key of local AWS emulators


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
    # Environments of SageMaker's images: outside the state directory, as they take long to build.
    image_cache: Path = REPOSITORY / ".sluice/venvs"
    # Archives of packages for jobs on Lambda, as an account would mount a folder that outlives its functions.
    environments: Path = REPOSITORY / ".sluice/environments"
    # Time for a job to stop.
    job_stop_grace_s: float = 120.0
    # AWS waits one minute, then two, before it retries a failed asynchronous invocation.
    async_retry_delays_s: tuple[float, ...] = (0.2, 0.4)

    @property
    def endpoint_url(self) -> str:
        """The address for AWS clients."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ready_file(self) -> Path:
        """The file with pid, port, endpoint_url, account and region, written once the cloud answers."""
        return self.state_dir / "ready.json"

    @property
    def saved(self) -> Path:
        """The folder of the saved state, for the next cloud with the same state directory."""
        return self.state_dir / "saved"

    def directory(self, name: str) -> Path:
        """Return a folder of the state directory; make it if it does not exist."""
        path = self.state_dir / name
        path.mkdir(parents=True, exist_ok=True)
        return path
