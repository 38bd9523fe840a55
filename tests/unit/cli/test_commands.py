"""What the command line says before it talks to any cloud."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import pytest
import typer
import yaml
from typer.testing import CliRunner

from sluice.domain.build import projects
from sluice_cli import (
    build_commands,
    cloud,
    continuing,
    errors,
    lookup,
    main,
    options,
    output,
    paths,
    project,
    target,
    uploads,
    waiting,
)
from sluice_cli.errors import CommandError
from sluice_local.state import state_lock

COMMANDS = sorted(
    name
    for name, command in typer.main.get_command(main.app).commands.items()  # type: ignore[attr-defined]
    if not hasattr(command, "commands")
)


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No local cloud, no AWS credentials, no region."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    result = CliRunner().invoke(main.app, [command, "--help"])
    assert result.exit_code == 0
    assert f"Example: sluice {command}" in result.output.replace("`", "")
    assert "--json" in result.output


def test_help_shows_all_of_what_stands_for_a_name() -> None:
    assert "batch/PIPELINE/" in CliRunner().invoke(main.app, ["batch", "run", "--help"]).output


def test_the_environment_of_aws_tools_can_be_evaluated_by_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = {"endpoint_url": "http://127.0.0.1:4566", "region": "us-east-1", "account": "0", "pid": 1}
    monkeypatch.setattr(target, "local_cloud", lambda: ready)
    said = CliRunner().invoke(main.app, ["env"]).stdout
    variables = json.loads(CliRunner().invoke(main.app, ["env", "--json"]).stdout)
    script = f"{said}env"
    found = subprocess.run(
        ["/bin/sh", "-c", script], capture_output=True, text=True, check=True, env={"AWS_PROFILE": "mine"}
    )
    read = dict(line.split("=", 1) for line in found.stdout.splitlines())
    assert {name: value for name, value in read.items() if name.startswith("AWS_")} == variables
    assert variables["AWS_ENDPOINT_URL"] == ready["endpoint_url"]


def test_a_new_local_cloud_says_how_its_python_differs_from_sagemaker_s() -> None:
    said = continuing.about_images()
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert said.startswith(
        f"jobs and models run on Python {here} here, on SageMaker on 3.10 for scikit-learn 1.4-2"
    )
    assert said.endswith("docs/local-cloud.md")


@pytest.mark.parametrize(
    ("continued", "expected"),
    [
        (None, []),
        (
            {
                "executions": ["m-00002"],
                "jobs": [],
                "pipeline_executions": ["p/execution/1"],
                "endpoints": ["a", "b"],
                "left_out": ["s3 [x]: torn"],
            },
            [
                "it continues as it was when it was last saved, 2026-11-28 18:11:32 UTC",
                "1 run or release under way had ended with the cloud, and failed: m-00002",
                "1 pipeline execution under way had ended with the cloud, and failed: p/execution/1",
                "2 endpoints started again: a, b",
                r"[yellow]left out[/]: s3 \[x]: torn",
            ],
        ),
    ],
)
def test_what_a_local_cloud_took_up_is_said(continued: dict[str, Any] | None, expected: list[str]) -> None:
    taken_up = continued and {**continued, "saved_at": "2026-11-28T18:11:32Z", "stopped_at": None}
    assert continuing.lines(taken_up) == expected
    if taken_up:
        first, *_ = continuing.lines({**taken_up, "stopped_at": "2026-11-28T19:40:00Z"})
        assert first == "it continues as it was when it was stopped, 2026-11-28 19:40:00 UTC"


@pytest.mark.parametrize(
    ("pipelines", "expected"),
    [
        ([], "sluice init my-model"),
        ([{"gsi1sk": "flats"}], "sluice upload flats FILE"),
        (
            [{"gsi1sk": "flats"}, {"gsi1sk": "rents", "build_seq": 3}],
            "`sluice status` shows what 2 pipelines do",
        ),
    ],
)
def test_what_to_do_next_fits_what_is_there(pipelines: list[dict[str, Any]], expected: str) -> None:
    assert expected in continuing.next_step(pipelines, None)
    assert "--fresh" not in continuing.next_step(pipelines, None)
    assert "`sluice up --fresh` starts anew" in continuing.next_step(pipelines, {"saved_at": "2026"})


def test_without_a_local_cloud_there_is_no_environment() -> None:
    result = CliRunner().invoke(main.app, ["env"])
    assert isinstance(result.exception, CommandError)
    assert (result.stdout, result.exception.exit_code) == ("", 2)


def test_the_commands_a_user_was_promised_are_there() -> None:
    promised = (
        "up down push upload runs run models approve reject status predict rollback logs demo init env report"
    )
    assert set(COMMANDS) >= set(promised.split())


@pytest.mark.parametrize("command", [["runs"], ["models"], ["status"], ["approve", "x/1"], ["push", "."]])
def test_without_a_cloud_a_command_says_how_to_get_one(command: list[str]) -> None:
    result = CliRunner().invoke(main.app, command)
    assert isinstance(result.exception, CommandError)
    assert result.exception.exit_code == 2
    assert "sluice up" in result.exception.hint


def test_the_program_is_named_as_it_is_found_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = tmp_path / "bin" / "sluice"
    called.parent.mkdir()
    called.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    assert main.program(str(called)) == "bin/sluice"
    monkeypatch.setenv("PATH", str(called.parent))
    assert main.program(str(called)) == "sluice"


def test_options_that_choose_the_stack_are_part_of_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "invocation", called := output.Invocation())
    CliRunner().invoke(main.app, ["--aws", "--stack", "other", "--region", "eu-west-1", "runs"])
    assert called.options == "--aws --stack other --region eu-west-1"
    monkeypatch.setenv("SLUICE_STACK", "other")
    CliRunner().invoke(main.app, ["runs"])
    assert called.options == ""


@pytest.mark.parametrize(
    ("status", "code"),
    [("registered", 0), ("skipped", 0), ("failed", 1), ("rejected", 3), ("data_rejected", 3)],
)
def test_an_awaited_upload_exits_by_the_end_of_its_run(
    status: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = {"run_id": "m-00001", "pipeline": "m", "status": status, "steps": [], "timeline": []}
    monkeypatch.setattr(options.Options, "target", lambda self: None)
    monkeypatch.setattr(lookup, "the_pipeline", lambda target, name: name)
    monkeypatch.setattr(waiting, "run_ids", lambda target, name: set())
    monkeypatch.setattr(project, "plan_upload", lambda *_, **__: {"files": [], "left_out": []})
    monkeypatch.setattr(project, "upload_planned", lambda *_: [])
    monkeypatch.setattr(build_commands, "follow_run", lambda *_: run)
    assert CliRunner().invoke(main.app, ["upload", "m", str(tmp_path), "--wait"]).exit_code == code


def test_what_was_uploaded_is_said_before_the_wait_for_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(options.Options, "target", lambda self: None)
    monkeypatch.setattr(lookup, "the_pipeline", lambda target, name: name)
    monkeypatch.setattr(waiting, "run_ids", lambda target, name: set())
    left_out = [{"path": "d/.x", "why": "hidden"}]
    monkeypatch.setattr(project, "plan_upload", lambda *_, **__: {"files": [], "left_out": left_out})
    monkeypatch.setattr(
        project,
        "upload_planned",
        lambda *_: [{"uri": "s3://b/m/a.csv", "size_bytes": 1, "fate": "zero bytes", "is_set_aside": False}],
    )
    monkeypatch.setattr(build_commands, "follow_run", interrupted)
    said = CliRunner().invoke(main.app, ["upload", "m", str(tmp_path), "--wait"]).stdout
    assert said == "uploaded s3://b/m/a.csv (1 byte, zero bytes)\nleft out d/.x (hidden)\n"


def test_nobody_waits_for_the_run_of_an_upload_that_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("no run comes of it")

    monkeypatch.setattr(options.Options, "target", lambda self: None)
    monkeypatch.setattr(lookup, "the_pipeline", lambda target, name: name)
    monkeypatch.setattr(waiting, "run_ids", lambda target, name: set())
    monkeypatch.setattr(project, "plan_upload", lambda *_, **__: {"files": [], "left_out": []})
    uploaded = {"uri": "s3://b/m/a.csv", "size_bytes": 0, "fate": "zero bytes", "is_set_aside": True}
    monkeypatch.setattr(project, "upload_planned", lambda *_: [uploaded])
    monkeypatch.setattr(build_commands, "follow_run", never)
    called = CliRunner().invoke(main.app, ["upload", "m", str(tmp_path), "--wait"])
    assert called.exit_code == 3
    assert "no run starts, as all of it is set aside\n" in called.stdout
    assert "`sluice data list m --quarantined` shows it" in called.stderr
    assert CliRunner().invoke(main.app, ["upload", "m", str(tmp_path)]).exit_code == 0


def test_a_dry_run_lists_what_would_be_uploaded_and_uploads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stack:
        """A stack whose pipeline completes batches by a marker; nothing can be sent to it."""

        outputs: ClassVar[dict[str, str]] = {"DataBucketName": "data"}

    for name in ("_SUCCESS", "dt=1/a.csv", ".hidden", "empty.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("" if name == "empty.csv" else "x")
    monkeypatch.setattr(options.Options, "target", lambda self: Stack())
    monkeypatch.setattr(lookup, "the_pipeline", lambda target, name: name)
    monkeypatch.setattr(uploads, "completing_name", lambda target, name: "_SUCCESS")
    said = CliRunner().invoke(main.app, ["upload", "m", str(tmp_path), "--dry-run"]).stdout
    assert said.splitlines() == [
        f"{tmp_path}/dt=1/a.csv to s3://data/m/dt=1/a.csv (1 byte)",
        f"{tmp_path}/empty.csv to s3://data/m/empty.csv (0 bytes, will be quarantined: zero bytes)",
        f"{tmp_path}/_SUCCESS to s3://data/m/_SUCCESS (1 byte, completes a batch)",
        f"left out {tmp_path}/.hidden (hidden)",
        "3 files, 2 bytes; nothing was uploaded",
    ]
    called = CliRunner().invoke(main.app, ["upload", "m", str(tmp_path), "--dry-run", "--json"])
    found = json.loads(called.stdout)
    assert [file["uri"] for file in found["files"]][-1] == "s3://data/m/_SUCCESS"


def test_a_second_start_waits_for_the_cloud_of_the_first(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second process ends, as the first one has the folder, and its cloud may not be ready yet."""

    class Ended:
        pid, returncode = 2**22 + 1, 1

        def poll(self) -> int:
            return self.returncode

    ready = {"pid": os.getpid(), "port": 1, "endpoint_url": "http://127.0.0.1:1"}
    looks = iter([None, None, None, *[ready] * 3])
    monkeypatch.setattr(cloud, "_started", set[int]())
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: Ended())
    monkeypatch.setattr(target, "local_cloud", lambda: next(looks))
    monkeypatch.setattr(target, "local_pid", os.getpid)
    assert cloud.start() == ready
    assert cloud.start(port=1) == ready
    with pytest.raises(CommandError, match="runs on port 1 already"):
        cloud.start(port=2)
    monkeypatch.setattr(target, "local_cloud", lambda: None)
    monkeypatch.setattr(target, "local_pid", lambda: None)
    (empty_home / "local.log").write_text("error: it cannot listen\n")
    with pytest.raises(CommandError, match="it cannot listen"):
        cloud.start()


def test_rights_are_enforced_or_the_command_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = {"pid": os.getpid(), "port": 1, "endpoint_url": "http://127.0.0.1:1"}
    running = {**ready, "auth": False}
    monkeypatch.setattr(target, "local_cloud", lambda: running)
    assert cloud.start() == running
    with pytest.raises(CommandError, match="runs already, and without --auth") as refused:
        cloud.start(auth=True)
    assert "`sluice up --auth`" in refused.value.hint
    running["auth"] = True
    assert cloud.start(auth=True) == cloud.start() == running


def test_a_folder_that_cannot_be_written_leads_to_the_variable_that_names_another(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_home / "file").write_text("")
    monkeypatch.setenv("SLUICE_HOME", str(empty_home / "file"))
    with pytest.raises(CommandError, match=r"cannot keep its state in .*: Not a directory") as refused:
        cloud.start()
    assert "SLUICE_HOME" in refused.value.hint


def test_a_folder_that_became_read_only_leads_there_too(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(empty_home))
    (empty_home / "local").mkdir()
    # Root may write into what is read-only, but not to a folder.
    (empty_home / "local.log").mkdir()
    with pytest.raises(CommandError, match=r"cannot keep its state in .*/local: ") as refused:
        cloud.start()
    assert "SLUICE_HOME" in refused.value.hint


def test_of_two_that_deploy_at_once_the_second_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "BUILD_DIR", tmp_path / "sam/build")
    with cloud.deploying(), (tmp_path / "sam/deploying.lock").open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with cloud.deploying():
        pass


def test_a_stale_ready_file_is_no_running_cloud(empty_home: Path) -> None:
    state = empty_home / "local"
    state.mkdir()
    (state / "ready.json").write_text(json.dumps({"pid": 2**22 + 1, "endpoint_url": "http://127.0.0.1:1"}))
    assert target.local_cloud() is None


def test_a_stale_ready_file_ends_no_process_that_has_its_number_now(empty_home: Path) -> None:
    state = empty_home / "local"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        with state_lock.held(state):  # what a killed cloud leaves: a ready file, and a lock that nobody holds
            (state / "ready.json").write_text(
                json.dumps({"pid": bystander.pid, "endpoint_url": "http://x:1"})
            )
            (state / "cloud.lock").write_text(json.dumps([bystander.pid, "0"]))
        assert target.local_cloud() is None
        assert not cloud.stop()
        assert bystander.poll() is None
        assert not (state / "ready.json").exists()


def test_a_lock_that_is_held_is_no_leave_to_end_the_process_of_an_old_record(empty_home: Path) -> None:
    state = empty_home / "local"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        with state_lock.held(state):
            (state / "cloud.lock").write_text(json.dumps([bystander.pid, "0"]))
            assert not cloud.stop()
        assert bystander.poll() is None


def test_a_folder_has_one_cloud_and_the_second_says_who_has_it(tmp_path: Path) -> None:
    assert state_lock.holder(tmp_path) is None
    with state_lock.held(tmp_path):
        assert state_lock.holder(tmp_path) == os.getpid()
        with pytest.raises(state_lock.StateInUseError, match=f"process {os.getpid()} has it"):
            state_lock.held(tmp_path).__enter__()
    assert state_lock.holder(tmp_path) is None
    with state_lock.held(tmp_path):  # a lock file is not a lock
        pass


def test_a_running_cloud_is_chosen_and_a_profile_overrules_it(empty_home: Path) -> None:
    state = empty_home / "local"
    state.mkdir()
    ready = {"pid": os.getpid(), "endpoint_url": "http://127.0.0.1:1", "region": "us-east-1"}
    (state / "ready.json").write_text(json.dumps(ready))
    with state_lock.held(state):
        chosen = target.resolve(stack=None, profile=None, region=None)
    assert chosen.description == "local cloud http://127.0.0.1:1, stack sluice"
    with pytest.raises(CommandError, match="profile"):
        target.resolve(stack=None, profile="nobody", region=None)


def test_what_aws_lacks_is_named_beside_a_running_local_cloud_too(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CommandError, match=r"no local cloud is running, and .* credentials and a region"):
        target.resolve(stack=None, profile=None, region=None)
    monkeypatch.setattr(target, "local_cloud", lambda: {"endpoint_url": "http://127.0.0.1:1"})
    with pytest.raises(CommandError, match=r"(?m)^the AWS configuration lacks credentials$") as caught:
        target.resolve(where="aws", stack=None, profile=None, region="eu-west-1")
    assert "--aws" in caught.value.hint


@pytest.mark.parametrize("example", ["reviews", "deliveries", "sdk-pipeline"])
def test_a_copied_example_is_a_valid_project_of_its_own_name(tmp_path: Path, example: str) -> None:
    folder = project.init(tmp_path / "my-model", example)
    loaded = projects.load_project(project.read_folder(folder).files)
    assert loaded.config.name == "my-model"
    # The commands to try are of this pipeline.
    text = (folder / "README.md").read_text()
    assert "sluice approve my-model/1" in text
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert links
    assert [link for link in links if not (folder / link).exists()] == []
    with pytest.raises(CommandError, match="exists already") as error:
        project.init(tmp_path / "my-model", example)
    assert "Name a folder that does not exist yet" in error.value.hint


def test_the_pipeline_has_the_name_of_the_folder_and_the_folder_is_the_path(tmp_path: Path) -> None:
    folder = project.init(tmp_path / "deep/er" / "my-model", "reviews")
    assert folder == tmp_path / "deep/er/my-model"
    assert projects.load_project(project.read_folder(folder).files).config.name == "my-model"


@pytest.mark.parametrize("example", ["reviews", "deliveries"])
def test_a_project_s_workflow_checks_and_pushes_this_pipeline(tmp_path: Path, example: str) -> None:
    folder = project.init(tmp_path / "houses", example, "github")
    workflow = yaml.safe_load((folder / ".github/workflows/sluice.yaml").read_text())
    assert workflow["name"] == "houses"
    ran = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    assert "sluice upload houses batch/part-1.csv --wait" in ran
    assert workflow["jobs"]["push"]["needs"] == "check"
    assert ran[-1] == 'sluice --aws push "$PROJECT"'
    # It is no part of what a push uploads.
    assert not [name for name in project.read_folder(folder).files if "github" in name]


@pytest.mark.parametrize(
    ("ci", "example", "said"),
    [
        ("gitlab", "reviews", "no workflow for 'gitlab'"),
        ("github", "sdk-pipeline", "needs the SageMaker SDK"),
    ],
)
def test_a_workflow_that_there_is_not_leaves_no_folder(
    tmp_path: Path, ci: str, example: str, said: str
) -> None:
    with pytest.raises(CommandError, match=said):
        project.init(tmp_path / "houses", example, ci)
    assert not (tmp_path / "houses").exists()


@pytest.mark.parametrize("name", ["My_Model", "x", "1st", ".."])
def test_a_folder_whose_name_can_be_no_pipelines_is_not_made(tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandError, match="is no pipeline name: 2 to 32") as caught:
        project.init(tmp_path / "Parent" / name, "reviews")
    assert "sluice init my-model" in caught.value.hint
    assert not (tmp_path / "Parent").exists()


def test_a_file_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "part-1.csv").write_text("x")
    with pytest.raises(
        CommandError, match=r"there is no file .*part-2.csv; did you mean 'part-1.csv'"
    ) as caught:
        paths.a_file(tmp_path / "part-2.csv")
    assert caught.value.hint == f"In {tmp_path}: part-1.csv."
    with pytest.raises(CommandError, match="is a folder"):
        paths.a_file(tmp_path)
    with pytest.raises(CommandError, match="there is no folder"):
        paths.a_file(tmp_path / "nowhere" / "part-1.csv")


def test_a_fault_of_the_file_system_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device", "report.html")

    monkeypatch.setattr(main, "app", full)
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 1
    said, advice = capsys.readouterr().err.splitlines()
    assert said == "error: report.html: No space left on device"
    assert tempfile.gettempdir() in advice


def test_an_unknown_example_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="there is no example 'nothing'"):
        project.init(tmp_path / "my-model", "nothing")


def test_what_is_left_out_of_a_push_is_listed(tmp_path: Path) -> None:
    names = ("pipeline.yaml", "env/__init__.py", "data/loader.py", "data/a.csv", "data/b.csv", ".git/config")
    for name in (*names, "mine/pyvenv.cfg", "mine/bin/python", "src/__pycache__/x.pyc", "old.txt~"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "link.py").symlink_to(tmp_path / "pipeline.yaml")
    found = project.read_folder(tmp_path)
    assert sorted(found.files) == ["data/loader.py", "env/__init__.py", "pipeline.yaml"]
    assert project.said(found.left_out) == (
        "data/ (data, not code: upload it, 2 files), mine/ (a virtual environment, 2 files), "
        "*~ (made by tools), .git/ (hidden), __pycache__/ (made by tools), link.py (a link)"
    )


def test_a_file_too_large_to_push_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pipeline.yaml").write_text("x")
    with (tmp_path / "big.csv").open("wb") as file:
        file.truncate(projects.MAX_FILE_BYTES + 1)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
    with pytest.raises(projects.ProjectError, match=r"big\.csv has .* upload data instead"):
        project.read_folder(tmp_path)


def test_a_folder_without_pipeline_yaml_is_not_pushed(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"no pipeline\.yaml"):
        project.read_folder(tmp_path)


def test_what_the_system_refuses_is_told_without_its_number() -> None:
    full = errors.of_system(OSError(28, "No space left on device"), errors.EXIT_USAGE)
    assert (str(full), full.exit_code) == ("No space left on device", errors.EXIT_FAILED)
    closed = errors.of_system(PermissionError(13, "Permission denied", "a.csv"), errors.EXIT_USAGE)
    assert (str(closed), closed.hint, closed.exit_code) == (
        "a.csv: Permission denied",
        "",
        errors.EXIT_USAGE,
    )
