"""Where a model came from can be asked, verified, repeated and taken back, on the deployed stack."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from e2e.loop import Loop, rows
from sluice_cli import main, project

pytestmark = pytest.mark.thorough


def sluice(loop: Loop, *words: str, exit_code: int = 0) -> Any:
    """What a command prints with --json."""
    result = CliRunner().invoke(main.app, ["--stack", loop.target.stack, *words, "--json"])
    assert result.exit_code == exit_code, (result.output, result.exception)
    return json.loads(result.stdout)


def commit(folder: Path) -> str:
    """Commit a folder as a repository of its own; the commit."""
    identity = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a"}
    apart = {"GIT_COMMITTER_EMAIL": "a@b", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, **identity, **apart},
        )
        return done.stdout.strip()

    git("init", "-q", "-b", "main")
    git("remote", "add", "origin", "https://me:secret@host/models.git")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    return git("rev-parse", "HEAD")


@pytest.mark.backend("auto")
def test_a_models_way_is_told_verified_repeated_and_taken_back(loop: Loop) -> None:
    # On a busy machine two uploads may lie further apart than a quiet period.
    loop.push(pipeline=loop.configure(complete_when="{marker: _SUCCESS}"))
    head = commit(loop.folder / "project")
    pushed = project.push(loop.target, loop.folder / "project")
    assert pushed["source"]["is_clean"] is True
    bad = rows(60, seed=1)
    loop.upload("bad.csv", bad)
    loop.upload("good.csv", rows(100, seed=2))
    run = loop.run_after("_SUCCESS", b"")
    assert run["status"] == "registered"
    model, served = f"{loop.pipeline}/1", run["dataset_version"]
    assert loop.release_after(1)["status"] == "released"

    found = sluice(loop, "lineage", model)
    assert found["project"]["source"]["commit"] == head
    assert found["project"]["source"]["remote"] == "https://host/models.git"
    assert {obj["key"].rpartition("/")[2] for obj in found["dataset"]["shown"]} == {"bad.csv", "good.csv"}
    assert [live["stage"] for live in found["live_on"]] == ["production"]
    # The job listed them from inside; on Lambda they are the environment's.
    environment = next(each for each in found["environments"] if "prepare" in each["steps"])
    assert environment["packages"]["scikit-learn"].startswith("1.4")
    assert environment["python"].startswith("3.")
    prepare = next(step for step in found["steps"] if step["step"] == "prepare")
    assert {each["name"] for each in prepare["artifacts"]} >= {
        "prepare/train/data.csv",
        "prepare/test/data.csv",
    }
    (listed,) = sluice(loop, "lineage", "--dataset", served[:16])["runs"]
    assert (listed["run_id"], listed["model"]["model"]) == (run["run_id"], model)
    from_object = sluice(loop, "lineage", "--object", f"{loop.pipeline}/bad.csv")
    assert [each["dataset_version"] for each in from_object["dataset_versions"]] == [served]
    described = loop.target.call(
        "sagemaker", "describe_model_package", ModelPackageName=run["model_package_arn"]
    )
    assert described["MetadataProperties"]["CommitId"] == head

    verified = sluice(loop, "manifest", "verify", model)
    assert {each["kind"] for each in verified["findings"]} >= {"manifest", "package", "artifact", "object"}
    assert {each["condition"] for each in verified["findings"]} == {"intact"}

    folder = loop.folder / "evidence"
    stated = sluice(loop, "evidence", model, "--out", str(folder))
    assert stated["manifest_sha256"] == found["manifest"]["sha256"]
    assert {each["file"] for each in stated["missing"]} <= {
        "model.sig",
        "monitoring.json",
        "project-readme.md",
    }
    assert sluice(loop, "evidence", "--verify", str(folder))["is_intact"]
    (approval,) = json.loads((folder / "approvals.json").read_text())["decisions"]
    assert (approval["status"], approval["is_of_this_manifest"]) == ("Approved", True)
    page = folder / "index.html"
    page.write_bytes(page.read_bytes()[:-1])
    assert not sluice(loop, "evidence", "--verify", str(folder), exit_code=3)["is_intact"]

    repeated = sluice(loop, "reproduce", model)
    assert repeated["comparison"]["is_same_model"] is True
    assert repeated["run"]["status"] == "reproduced"
    assert loop.status()["last_run"]["status"] == "reproduced"
    assert [each["model"] for each in sluice(loop, "models", loop.pipeline)] == [model]

    # What was written over since is read by its version.
    loop.upload("good.csv", rows(100, seed=3))
    assert loop.run_after("_SUCCESS", b"")["status"] == "registered"
    again = sluice(loop, "reproduce", model)
    assert again["comparison"]["is_same_model"] is True

    recalled = sluice(loop, "recall", f"{loop.pipeline}/bad.csv", "-m", "consent withdrawn", "--wait")
    assert [each["model"] for each in recalled["live_models"]] == [model]
    assert recalled["run"]["status"] == "registered"
    shown = sluice(loop, "dataset", "show", loop.pipeline, recalled["run"]["dataset_version"][:16])
    assert [obj["key"] for obj in shown["objects"]] == [f"{loop.pipeline}/good.csv"]
    (told,) = loop.status()["recalls"]
    assert (told["reason"], told["model"]) == ("consent withdrawn", f"{loop.pipeline}/3")
    assert loop.status()["stages"][0]["live_version"] == 1

    assert sluice(loop, "manifest", "verify", model)["is_intact"], "each version is still there"
