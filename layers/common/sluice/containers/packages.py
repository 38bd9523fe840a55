"""The packages of frameworks' images, and what a project's requirements.txt may add to them.

A lock file for each image pins what SageMaker's ships, by hash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

LOCKS = Path(__file__).with_name("images")
# Repositories of SageMaker's images, and the prefixes of their locks' names.
FRAMEWORKS = {"sagemaker-scikit-learn": "scikit-learn", "sagemaker-xgboost": "xgboost"}
# Tags of xgboost are a version alone.
_TAG_SUFFIXES = {"scikit-learn": "-cpu-py3", "xgboost": ""}
# A line that means the same in every folder: a name, optional versions, a marker and hashes.
_INDEXED = re.compile(
    r"([A-Za-z0-9][\w.-]*\s*(\[[\w\s,.-]*\])?\s*([=<>!~(][^/@#]*)?(;[^/@#]*)?|--hash[=\s]\S+)\s*\\?(\s#.*)?"
)
_ARCHIVE = re.compile(r"\.(whl|zip|tar(\.\w+)?|tgz)\b", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_INDEX = re.compile(r"(-i|-f|--index-url|--extra-index-url|--find-links)[=\s]")


def names() -> list[str]:
    """Return the images whose packages are known, as repository:tag."""
    return [
        f"{repository}:{lock.stem.removeprefix(framework + '-')}{_TAG_SUFFIXES[framework]}"
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
        if tag in ("", version := lock.stem.removeprefix(framework + "-"), version + _TAG_SUFFIXES[framework])
    ]


def _locks(framework: str) -> list[Path]:
    return sorted(LOCKS.glob(f"{framework}-*.txt"))


def not_indexed(lines: Iterable[str]) -> list[str]:
    """Return the lines of a requirements.txt that are no packages of an index, such as paths and options."""
    return [line for line in lines if not _INDEXED.fullmatch(line) or _ARCHIVE.search(line)]


def without_credentials(text: str) -> str:
    """Leave the names and passwords out of the URLs in a text."""
    return _CREDENTIALS.sub("", text)


def names_index(line: str) -> bool:
    """Tell whether a line of a requirements.txt names an index."""
    return bool(_INDEX.match(line))
