"""The packages of frameworks' images: a lock file for each pins what SageMaker's image ships, by hash."""

from __future__ import annotations

from pathlib import Path

LOCKS = Path(__file__).with_name("images")
# Repositories of SageMaker's images, and the prefixes of their locks' names.
FRAMEWORKS = {"sagemaker-scikit-learn": "scikit-learn"}
_TAG_SUFFIX = "-cpu-py3"


def names() -> list[str]:
    """Return the images whose packages are known, as repository:tag."""
    return [
        f"{repository}:{lock.stem.removeprefix(framework + '-')}{_TAG_SUFFIX}"
        for repository, framework in FRAMEWORKS.items()
        for lock in _locks(framework)
    ]


def locks_of(image_uri: str) -> list[Path]:
    """Return the lock files that an image's repository and tag allow, whatever its registry and digest.

    Without a tag these are all of the repository.
    """
    repository, _, tag = image_uri.partition("@")[0].rpartition("/")[2].partition(":")
    framework = FRAMEWORKS.get(repository)
    if framework is None:
        return []
    return [
        lock
        for lock in _locks(framework)
        if tag in ("", version := lock.stem.removeprefix(framework + "-"), version + _TAG_SUFFIX)
    ]


def _locks(framework: str) -> list[Path]:
    return sorted(LOCKS.glob(f"{framework}-*.txt"))
