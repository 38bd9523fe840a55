"""A training job on SageMaker lists its packages, and its script runs as it would without that."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from sluice.containers import warm_interpreter
from sluice.domain.build import jobs, package_lists, projects
from sluice.domain.build.jobs import Build
from sluice_cli import project

EXAMPLES = Path(__file__).parents[4] / "examples"
LISTED = {"python": "3.11.9", "packages": {"numpy": "2.1.0"}}
SCRIPT = """
import json, os, sys
print(json.dumps([sys.argv[1:], __name__, os.path.basename(__file__), os.environ["SM_USER_ENTRY_POINT"]]))
raise SystemExit(7)
"""


def archive(name: str, content: bytes) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as packed:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        packed.addfile(info, io.BytesIO(content))
    return raw.getvalue()


@pytest.mark.parametrize("has_folder", [True, False])
def test_the_program_lists_packages_and_becomes_the_script(tmp_path: Path, has_folder: bool) -> None:
    data = tmp_path / "data"
    if has_folder:
        data.mkdir()
    program = tmp_path / package_lists.PROGRAM
    program.write_text(package_lists.SOURCE.replace("/opt/ml/output/data", str(data)))
    (tmp_path / "my train.py").write_text(SCRIPT)
    variables = {**os.environ, package_lists.VARIABLE: "my train.py", "SM_USER_ENTRY_POINT": program.name}
    command = [sys.executable, program.name, "--alpha", "0.1"]
    ended = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert ended.returncode == 7
    assert json.loads(ended.stdout) == [["--alpha", "0.1"], "__main__", "my train.py", "my train.py"]
    if not has_folder:
        assert "the packages could not be listed" in ended.stderr
        return
    listed = package_lists.read((data / package_lists.NAME).read_bytes())
    assert listed is not None
    assert listed["python"] == sys.version.split()[0]
    assert listed["packages"]["pytest"] == pytest.__version__


def test_the_list_has_what_is_imported_where_a_package_is_there_twice(tmp_path: Path) -> None:
    for folder, version in (("first", "1.0"), ("second", "2.0")):
        described = tmp_path / folder / f"kept-{version}.dist-info"
        described.mkdir(parents=True)
        (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: kept\nVersion: {version}\n")
    (tmp_path / "second" / "broken-3.0.dist-info").mkdir()
    path = tmp_path / "packages.json"
    program = "\n".join(["import sys", f"p = {str(path)!r}", *package_lists.WRITE])
    places = os.pathsep.join([str(tmp_path / "first"), str(tmp_path / "second")])
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": places}, check=True)
    listed = package_lists.read(path.read_bytes())
    assert listed is not None
    assert listed["packages"]["kept"] == "1.0"
    assert not {"None", "null"} & set(listed["packages"])


@pytest.mark.parametrize("example", ["reviews", "deliveries"])
def test_nothing_beside_the_scripts_of_an_example_keeps_them_from_being_forks(example: str) -> None:
    pushed = projects.load_project(project.read_folder(EXAMPLES / example).files)
    archive = projects.unpack(projects.sourcedir(pushed))
    assert package_lists.PROGRAM in archive
    assert not [name for name, content in archive.items() if warm_interpreter._PREPARES.search(content)]


def test_a_job_on_sagemaker_starts_the_program_and_one_on_lambda_the_script(build: Build) -> None:
    listing = replace(build, train_program=package_lists.PROGRAM)
    for made, program, named in [
        (listing, package_lists.PROGRAM, "train.py"),
        (jobs.on_lambda(listing), "train.py", None),
        (build, "train.py", None),
    ]:
        request = jobs.training_request(made, "train-0", {})
        assert json.loads(request["HyperParameters"]["sagemaker_program"]) == program
        assert request["Environment"].get(package_lists.VARIABLE) == named


def test_a_list_is_read_from_the_archive_of_the_jobs_output() -> None:
    assert package_lists.read_archive([archive(package_lists.NAME, json.dumps(LISTED).encode())]) == LISTED


@pytest.mark.parametrize(
    "content",
    [
        b"no archive",
        archive("others.json", b"{}"),
        archive(package_lists.NAME, b"no json"),
        archive(package_lists.NAME, b"[" * 100_000),
        archive(package_lists.NAME, b'{"packages": ["numpy"]}'),
        archive(package_lists.NAME, json.dumps({**LISTED, "more": " " * package_lists.MAX_BYTES}).encode()),
        archive(package_lists.NAME, json.dumps(LISTED).encode())[:-20],
    ],
)
def test_what_is_no_list_says_nothing(content: bytes) -> None:
    assert package_lists.read_archive([content]) is None
