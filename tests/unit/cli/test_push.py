"""A push waits for the verdict on its own upload, and longer where a stack is new."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import fakes
from build_world import FILES, PIPELINE, PIPELINE_YAML, RUN, Invoke, World, created
from sluice.catalog import keys
from sluice.domain.build import projects
from sluice.domain.build.sources import Source
from sluice.services.views import data as data_views
from sluice_cli import git, project, scripts
from sluice_cli.errors import CommandError
from sluice_cli.target import Target
from sluice_local.sagemaker.containers import images

PUSHER = "arn:aws:iam::123456789012:user/paul"


class Stack:
    """A stack whose rule hears of an upload, unless it is too new for that."""

    def __init__(self, cloud: fakes.Cloud, invoke: Invoke) -> None:
        self.cloud, self.invoke, self.catalog = cloud, invoke, cloud.catalog
        self.is_local = False
        self.outputs = {"ArtifactBucketName": fakes.ARTIFACT_BUCKET}
        self.is_new, self.deaf = False, 0

    def call(self, service: str, operation: str, **put: Any) -> dict[str, str]:
        if (service, operation) == ("sts", "get_caller_identity"):
            return {"Arn": PUSHER}
        assert (service, operation) == ("s3", "put_object")
        version_id = self.cloud.objects.put(put["Bucket"], put["Key"], put["Body"], put["Metadata"])
        if self.deaf:
            self.deaf -= 1
        else:
            self.invoke("register_project", created(put["Bucket"], put["Key"], version_id))
        return {"VersionId": version_id}


@pytest.fixture
def stack(cloud: fakes.Cloud, invoke: Invoke) -> Stack:
    return Stack(cloud, invoke)


@pytest.fixture
def push(stack: Stack, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def write_and_push(say: Callable[[str], None] = lambda _: None, **changed: bytes) -> dict[str, Any]:
        for path, data in FILES.items():
            file = tmp_path / path
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(changed.get(file.stem, data))
        target: Target = stack  # type: ignore[assignment]
        return project.push(target, tmp_path, say, timeout_s=0.05)

    return write_and_push


def test_what_is_current_is_not_pushed_again_and_what_was_current_becomes_it_again(
    stack: Stack, cloud: fakes.Cloud, push: Callable[..., dict[str, Any]]
) -> None:
    world = World(cloud, stack.invoke)
    first = push()
    assert (first["unchanged"], push()["unchanged"]) == (False, True)
    world.later(minutes=1)
    push(train=b"print(2)\n")
    world.later(minutes=1)
    assert push()["unchanged"] is False
    assert world.pipeline["project_version"] == first["project_version"]


def test_a_push_says_whether_it_starts_a_build_and_why_not(
    stack: Stack, cloud: fakes.Cloud, push: Callable[..., dict[str, Any]]
) -> None:
    world = World(cloud, stack.invoke)
    assert push()["build"] == {"starts": False, "why": "no build starts, as there are no data yet"}
    world.upload("a.csv")
    world.later(minutes=2)
    world.ask()
    version = push(train=b"print(2)\n")["project_version"]
    assert push(train=b"print(2)\n")["build"]["why"] == f"a build starts when {RUN} ends"
    assert world.play() == "registered"
    assert push(train=b"print(2)\n")["build"]["why"] == "a build starts by itself (a new project version)"
    with pytest.MonkeyPatch.context() as patch:
        # The build starts between two looks.
        looked = data_views.what_waits

        def meanwhile(*given: Any) -> dict[str, Any]:
            world.ask()
            return looked(*given)

        patch.setattr(data_views, "what_waits", meanwhile)
        assert push(train=b"print(2)\n")["build"] == {"starts": True, "why": "reviews-00002 builds it"}
    assert world.pipeline["built_project_version"] == version
    assert push(train=b"print(2)\n")["build"] == {"starts": True, "why": "reviews-00002 builds it"}
    assert world.play("reviews-00002") == "registered"
    world.later(minutes=1)
    found = push(train=b"print(2)\n", pipeline=PIPELINE_YAML.encode() + b"# a comment\n")
    assert found["unchanged"] is False
    assert found["build"] == {
        "starts": False,
        "why": "no build starts, as nothing that a run reads has changed",
    }


def test_a_push_says_when_a_build_starts_that_a_budget_holds_back(
    stack: Stack, push: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    at, why = "2999-12-01T00:00:00.000Z", "monthly budget of $1.00: $2.00 spent in 2999-11"
    monkeypatch.setattr(data_views, "what_waits", lambda *_: {"next_build": {"at": at, "reason": why}})
    assert push()["build"] == {"starts": True, "why": f"a build starts by itself at {at} ({why})"}


def test_what_the_stack_refused_is_taken_when_the_stack_has_changed(
    stack: Stack, push: Callable[..., dict[str, Any]]
) -> None:
    automatic = f"{PIPELINE_YAML}register: {{approval: automatic}}\n".encode()
    for _ in range(2):
        with pytest.raises(CommandError, match="deploy the stack with AutomaticApproval=true"):
            push(pipeline=automatic)
    stack.cloud.allows_automatic_approval = True
    assert push(pipeline=automatic)["pipeline"] == PIPELINE


def test_a_push_to_a_stack_that_was_just_made_says_that_it_takes_longer_and_uploads_again(
    stack: Stack, push: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project, "NEW_STACK_ATTEMPT_S", 0.05)
    stack.deaf = 2
    with pytest.raises(CommandError, match="did not register it within 0 s"):
        push()
    stack.is_new, said = True, list[str]()
    assert push(said.append)["unchanged"] is False
    assert said == ["waiting: the stack is new: EventBridge may take five minutes to act on its rules"]


def test_a_push_says_which_checks_read_all_data_for_each_build(push: Callable[..., dict[str, Any]]) -> None:
    whole = PIPELINE_YAML.replace("  label: y\n", "  label: y\n  keys: [[x, y]]\n")
    (warning,) = push(pipeline=whole.encode())["warnings"]
    assert warning.startswith("each build reads the whole data set, not only what is new, for key of x, y:")
    assert push(pipeline=whole.replace("label: y", "label: y\n  mode: replace").encode())["warnings"] == []
    assert push()["warnings"] == []


def test_a_push_says_which_checks_will_read_all_data_once_a_column_has_many_values(
    push: Callable[..., dict[str, Any]],
) -> None:
    def warned(*checks: str) -> list[str]:
        quality = "".join(f"    - {check}\n" for check in checks)
        asked = PIPELINE_YAML.replace("  label: y\n", f"  label: y\n  quality:\n{quality}")
        return list(push(pipeline=asked.encode())["warnings"])

    many, few = "{check: distinct_count, column: x, min: 5}", "{check: distinct_count, column: x, max: 1024}"
    (warning,) = warned(many, "{check: uniqueness, column: x, min: 0.5}")
    assert warning == (
        "once a column has more than 1,024 different values, each build reads the whole data set for "
        "distinct_count of x, uniqueness of x, and more than 50,000 objects are rejected"
    )
    assert warned(few) == []


def test_a_short_bake_is_warned_of_where_alarms_watch_it(push: Callable[..., dict[str, Any]]) -> None:
    short = PIPELINE_YAML + "release: {stages: [{name: production, traffic: {bake_s: 5, unwatched: true}}]}\n"
    (warning,) = push(pipeline=short.encode())["warnings"]
    assert "its releases are unguarded" in warning
    scored = short.replace("sample.json}", "sample.json, compute: {batch: {}}}")
    assert push(pipeline=scored.encode())["warnings"] == []


def test_a_push_records_its_commit_and_once_more_when_the_same_files_are_committed(
    stack: Stack, cloud: fakes.Cloud, push: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def pushed(**known: Any) -> tuple[bool, dict[str, Any]]:
        monkeypatch.setattr(git, "source", lambda *_: Source(**known))
        World(cloud, stack.invoke).later(minutes=1)
        found = push()
        item = cloud.catalog.get(keys.project_key(PIPELINE, found["project_version"])) or {}
        return found["unchanged"], item["source"]

    nowhere, commit = {"problem": "the folder is in no git repository"}, {"commit": "c" * 40}
    dirty, clean = {**commit, "is_clean": False}, {**commit, "branch": "main", "is_clean": True}
    assert pushed(**nowhere) == (False, nowhere)
    assert pushed(**dirty) == (True, nowhere)
    assert pushed(**clean) == (False, clean)
    assert pushed(**clean) == (True, clean)
    push(train=b"print(2)\n")
    assert pushed(**dirty) == (False, clean)


def test_a_script_that_is_no_python_is_refused_with_its_line_before_anything_is_uploaded(
    stack: Stack, cloud: fakes.Cloud, push: Callable[..., dict[str, Any]]
) -> None:
    bad = b"import os\n\ndef main(:\n    pass\n"
    with pytest.raises(CommandError) as refused:
        push(train=bad, evaluate=b"\tx = 1\n y = 2\n")
    said = str(refused.value).splitlines()
    assert "src/train.py line 3: SyntaxError: invalid syntax: def main(:" in said
    assert any(line.startswith("src/evaluate.py line ") for line in said)
    assert not cloud.objects.buckets.get(fakes.ARTIFACT_BUCKET)


def test_where_the_image_may_have_a_newer_python_a_script_gives_a_warning(
    stack: Stack, push: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "REAL_PYTHONS", {"scikit-learn 1.4-2": "3.99"})
    (said,) = [each for each in push(train=b"def main(:\n")["warnings"] if "SyntaxError" in each]
    assert said.startswith("src/train.py line 1: SyntaxError: ")
    assert said.endswith(f"as Python {sys.version_info.major}.{sys.version_info.minor} reads it")
    # On the local cloud jobs have this Python.
    local: Any = SimpleNamespace(is_local=True)
    with pytest.raises(CommandError, match="SyntaxError"):
        scripts.check(local, projects.load_project({**FILES, "src/train.py": b"def main(:\n"}))


@pytest.mark.parametrize(
    ("script", "is_told"),
    [
        ('parser.add_argument("--C", type=float)', True),
        ("parser.add_argument('-C', '--C', type=float)", False),
        ('parser.add_argument("-C", type=float)', False),
        ('HYPERPARAMETERS = os.environ["SM_HPS"]', False),
    ],
)
def test_a_hyperparameter_of_one_letter_that_a_script_would_miss_is_a_warning(
    script: str, is_told: bool, push: Callable[..., dict[str, Any]]
) -> None:
    one_letter = PIPELINE_YAML.replace("alpha: [0.1, 0.2]", "C: [0.1, 0.2]").encode()
    said = [each for each in push(pipeline=one_letter, train=script.encode())["warnings"] if "--C" in each]
    assert bool(said) is is_told
    assert not said or said[0].startswith("src/train.py reads --C, and SageMaker's toolkit passes")


def test_another_file_that_is_no_python_is_a_warning() -> None:
    loaded = projects.load_project({**FILES, "src/old.py": b"print 1\n", "notes.py": b"print 1\n"})
    target: Any = SimpleNamespace(is_local=True)
    (said,) = scripts.check(target, loaded)
    assert said.startswith("src/old.py line 1: SyntaxError: Missing parentheses")


def test_a_push_warns_of_an_alarm_that_could_not_guard_a_release(push: Callable[..., dict[str, Any]]) -> None:
    named = PIPELINE_YAML.encode() + b"release: {stages: [{name: production, alarms: [refunds]}]}\n"
    assert b"release:" not in PIPELINE_YAML.encode()
    warnings = push(pipeline=named)["warnings"]
    assert any(each.startswith("the alarm refunds does not exist") for each in warnings), warnings


def test_all_who_pushed_a_version_are_on_record_by_their_own_account(
    stack: Stack, cloud: fakes.Cloud, push: Callable[..., dict[str, Any]]
) -> None:
    version = push()["project_version"]
    assert _pushed_by(cloud, version) == [f"{PUSHER} (unverified)"]
    for name in ("anna", "paul"):
        again = cloud.objects.read(f"s3://{fakes.ARTIFACT_BUCKET}/projects/{PIPELINE}/{version}.tar.gz")
        key, who = f"projects/{PIPELINE}/{version}.tar.gz", PUSHER.replace("paul", name)
        version_id = cloud.objects.put(fakes.ARTIFACT_BUCKET, key, again, {"pushed-by": who})
        stack.invoke("register_project", created(fakes.ARTIFACT_BUCKET, key, version_id))
    assert _pushed_by(cloud, version) == [f"{PUSHER[:-4]}{name} (unverified)" for name in ("anna", "paul")]


def _pushed_by(cloud: fakes.Cloud, version: str) -> Any:
    return (cloud.catalog.get(keys.project_key(PIPELINE, version)) or {})["pushed_by"]
