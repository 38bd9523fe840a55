"""Ask git which commit a folder is, and whether the files of a push are that commit's."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection
from pathlib import Path

from sluice.domain.build.sources import Source, without_credentials

_TIMEOUT_S = 20
# Where git runs for another repository (in a hook, for example), these name that one.
_OF_A_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")


def source(folder: Path, pushed: Collection[str]) -> Source:
    """Return the commit of a folder whose files `pushed` (paths in it) are pushed.

    Files that git ignores but a push sends are none of the commit's, and so the folder is not clean.
    """
    try:
        commit = _git(folder, "rev-parse", "--verify", "HEAD^{commit}").strip()
        branch = _git(folder, "branch", "--show-current").strip()
        return Source(commit, branch or None, _remote(folder, branch), _is_clean(folder, pushed))
    except FileNotFoundError:
        return Source(problem="git is not installed")
    except subprocess.TimeoutExpired:
        return Source(problem=f"git did not answer within {_TIMEOUT_S} s")
    except subprocess.CalledProcessError as error:
        return Source(problem=_why(error.stderr))


def _why(said: str) -> str:
    if "not a git repository" in said:
        return "the folder is in no git repository"
    if "Needed a single revision" in said:
        return "the git repository has no commit yet"
    return f"git: {' '.join(said.split())}"


def _git(folder: Path, *arguments: str) -> str:
    found = {name: value for name, value in os.environ.items() if name not in _OF_A_REPOSITORY}
    answer = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        capture_output=True,
        check=True,
        text=True,
        errors="replace",
        timeout=_TIMEOUT_S,
        env={**found, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"},
    )
    return answer.stdout


def _remote(folder: Path, branch: str) -> str | None:
    """Return the URL of the branch's remote, else of `origin`, else of the first; None without remotes."""
    names = _git(folder, "remote").split()
    try:
        tracked = _git(folder, "config", "--get", f"branch.{branch}.remote").strip() if branch else ""
    except subprocess.CalledProcessError:
        tracked = ""
    chosen = next((name for name in (tracked, "origin", *names) if name in names), None)
    return without_credentials(_git(folder, "remote", "get-url", chosen).strip()) if chosen else None


def _is_clean(folder: Path, pushed: Collection[str]) -> bool:
    """Tell whether all that is pushed is committed as it is, and nothing committed is missing."""
    prefix = _git(folder, "rev-parse", "--show-prefix").rstrip("\n")
    listed = _git(
        folder,
        *("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--ignored"),
        *("--ignore-submodules=none", "--", "."),
    )
    known = set(pushed)
    for entry in filter(None, listed.split("\0")):
        state, path = entry[:2], entry[3:].removeprefix(prefix)
        if path in known or not {"?", "!"} & set(state):
            return False
    return True
