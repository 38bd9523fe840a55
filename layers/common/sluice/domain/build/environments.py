"""What a job on Lambda needs of packages, and how that is named: those of its image, and requirements.txt."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from sluice.catalog.records.builds import Environment
from sluice.containers import packages
from sluice.domain import canonical
from sluice.domain.build import requirements
from sluice.domain.build.backends import Facts, choose
from sluice.domain.build.errors import BuildError
from sluice.domain.config import PipelineConfig
from sluice.domain.config.images import UnknownImageError
from sluice.domain.times import from_iso
from sluice.lazy import dataclass

# Another way to build an environment is another environment.
_FORMAT = "sluice-environment/1"
# As long as Lambda lets a function run: then who builds it has ended.
BUILDING = timedelta(seconds=900)
# A failure may be the package index's.
_FAILURE_KEPT = timedelta(minutes=10)
_SHOWN = 80


class NoEnvironmentError(BuildError):
    """Jobs on Lambda cannot have the packages that they need; the message says why."""


# A lock file is long, and its digest is asked for several times for each job.
@lru_cache(maxsize=8)
def _spec(lock: str, requirements: tuple[str, ...], python: str, architecture: str) -> str:
    asked: dict[str, Any] = {
        "format": _FORMAT,
        "lock": lock,
        "requirements": requirements,
        "python": python,
        "architecture": architecture,
    }
    return canonical.digest(asked)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The packages of an image and of a requirements.txt, for a version of Python and an architecture."""

    image: str
    # The image's packages with hashes, a lock file.
    lock: str
    requirements: Sequence[str]
    python: str
    architecture: str

    @property
    def spec(self) -> str:
        """The digest of all that the packages depend on."""
        return _spec(self.lock, tuple(self.requirements), self.python, self.architecture)

    def describe(self, digest: str, size_bytes: int, unpacked_bytes: int, **more: Any) -> dict[str, Any]:
        """Return the document that lies beside the archive."""
        return {
            "digest": digest,
            "python": self.python,
            "architecture": self.architecture,
            "image": self.image,
            "requirements": [packages.without_credentials(line) for line in self.requirements],
            "size_bytes": size_bytes,
            "unpacked_bytes": unpacked_bytes,
            **more,
        }


def want(
    config: PipelineConfig,
    image: str | None,
    requirements_txt: bytes,
    *,
    region: str,
    python: str,
    architecture: str,
) -> Wanted:
    """Return what the project's jobs need; `image` takes the place of its own. Raises NoEnvironmentError."""
    try:
        uri = _image(config, image, region)
    except UnknownImageError as error:
        raise NoEnvironmentError(str(error)) from None
    locks = packages.locks_of(uri) if config.framework is not None else []
    if len(locks) != 1:
        raise NoEnvironmentError(_unknown(config, uri))
    if problem := requirements_problem(requirements_txt):
        raise NoEnvironmentError(problem)
    lines = requirements.lines(requirements_txt)
    return Wanted(uri, locks[0].read_text("utf-8"), lines, python, architecture)


def _image(config: PipelineConfig, image: str | None, region: str) -> str:
    """Return the image with its tag: a digest alone does not tell what is in it."""
    named, is_pinned, _ = (image or config.training_image_uri(region)).partition("@")
    if is_pinned and ":" not in named.rpartition("/")[2]:
        raise NoEnvironmentError(f"the packages of {named}, named by its digest alone, are not known")
    return named


def _unknown(config: PipelineConfig, uri: str) -> str:
    if config.framework is None:
        return "what the custom image holds is not known"
    known = ", ".join(packages.names())
    return f"the packages of {uri.rpartition('/')[2]} are not known, those of {known} are"


def requirements_problem(data: bytes) -> str | None:
    """Say why jobs on Lambda cannot have what a requirements.txt lists; None if that is for the index to say.

    A path or an address may hold source code, which would run where it is built.
    """
    try:
        lines = requirements.lines(data)
    except ValueError as error:
        return f"requirements.txt cannot be read: {error}"
    wrong = [line for line in packages.not_indexed(lines) if not packages.names_index(line)]
    if not wrong:
        return None
    return f"requirements.txt has {wrong[0][:_SHOWN]!r}, and Lambda gets wheels of a package index alone"


def is_wanted(config: PipelineConfig) -> bool:
    """Tell whether any step's job may run on Lambda."""
    return any(choose(compute, Facts()).backend == "lambda" for compute in config.computes.values())


def is_building(found: Environment, now: str) -> bool:
    """Tell whether somebody builds it; who did not finish in time has ended."""
    return found.status == "building" and from_iso(now) - from_iso(found.started_at) <= BUILDING


def usage(
    ended: Environment, architecture: str, memory_mb: int, now: str, former: Environment | None
) -> dict[str, Any]:
    """Return what building has used until now, as a job's usage.

    It includes the attempt before, if no run was charged for that.
    """
    seconds = (from_iso(now) - from_iso(ended.started_at)).total_seconds()
    requests = 1
    if former is not None and former.paid_by is None:
        # Of an attempt whose end nobody recorded, only the latest time of its end is known.
        lost = BUILDING.total_seconds() if former.status == "building" else 0.0
        before = former.usage or {"billed_s": lost, "requests": 1}
        seconds, requests = seconds + before["billed_s"], requests + before["requests"]
    return {
        "billed_s": round(max(0.0, seconds), 3),
        "memory_mb": memory_mb,
        "architecture": architecture,
        "requests": requests,
    }


def is_due(found: Environment, now: str) -> bool:
    """Tell whether it is to be tried again."""
    if found.status == "failed":
        return from_iso(now) - from_iso(found.started_at) > _FAILURE_KEPT
    return found.status == "building" and not is_building(found, now)
