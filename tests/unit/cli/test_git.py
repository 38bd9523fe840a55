"""A push knows its commit, and whether the commit has exactly what is pushed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sluice_cli import git

PUSHED = ["pipeline.yaml", "src/train.py"]


def run(folder: Path, *arguments: str) -> str:
    names = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a"}
    settings = {"GIT_COMMITTER_EMAIL": "a@b", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **names, **settings},
    )
    return done.stdout.strip()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project in a folder of a repository, all of it committed."""
    run(tmp_path, "init", "-q", "-b", "trunk")
    project = tmp_path / "models" / "reviews"
    (project / "src").mkdir(parents=True)
    for name in PUSHED:
        (project / name).write_text(name)
    (tmp_path / "README.md").write_text("about")
    run(tmp_path, "add", ".")
    run(tmp_path, "commit", "-q", "-m", "first")
    return project


def test_a_committed_folder_is_clean(folder: Path) -> None:
    run(folder, "remote", "add", "origin", "https://me:secret@host/reviews.git")
    found = git.source(folder, PUSHED)
    assert found.attributes == {
        "commit": run(folder, "rev-parse", "HEAD"),
        "branch": "trunk",
        "remote": "https://host/reviews.git",
        "is_clean": True,
    }


def test_what_lies_outside_the_folder_or_is_not_pushed_does_not_count(folder: Path) -> None:
    (folder.parents[1] / "README.md").write_text("changed")
    (folder / "notes.txt").write_text("left out")
    assert git.source(folder, PUSHED).is_clean


@pytest.mark.parametrize("staged", [False, True])
def test_a_changed_file_is_not_clean(folder: Path, staged: bool) -> None:
    (folder / "src/train.py").write_text("changed")
    if staged:
        run(folder, "add", ".")
    assert git.source(folder, PUSHED).is_clean is False


def test_a_missing_file_is_not_clean(folder: Path) -> None:
    (folder / "src/train.py").unlink()
    assert git.source(folder, PUSHED[:1]).is_clean is False


@pytest.mark.parametrize("name", ["src/new.py", "src/größe mit.py", "src/a\tb.py"])
def test_a_pushed_file_that_is_not_committed_is_not_clean(folder: Path, name: str) -> None:
    (folder / name).write_text("new")
    assert git.source(folder, [*PUSHED, name]).is_clean is False


def test_a_pushed_file_that_git_ignores_is_not_clean(folder: Path) -> None:
    (folder / ".gitignore").write_text("made/\n")
    run(folder, "add", ".")
    run(folder, "commit", "-q", "-m", "second")
    (folder / "made").mkdir()
    (folder / "made/settings.json").write_text("{}")
    assert git.source(folder, PUSHED).is_clean is True
    assert git.source(folder, [*PUSHED, "made/settings.json"]).is_clean is False


def test_a_commit_without_a_branch_is_named(folder: Path) -> None:
    run(folder, "checkout", "-q", "--detach")
    found = git.source(folder, PUSHED)
    assert (found.branch, found.is_clean, found.problem) == (None, True, None)


def test_a_folder_without_git_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert git.source(tmp_path, PUSHED).problem == "the folder is in no git repository"
    run(tmp_path, "init", "-q")
    assert git.source(tmp_path, PUSHED).problem == "the git repository has no commit yet"
    monkeypatch.setenv("PATH", "")
    assert git.source(tmp_path, PUSHED).problem == "git is not installed"


def test_another_repository_in_the_environment_is_not_asked(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert git.source(folder, PUSHED).is_clean is True
