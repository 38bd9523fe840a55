"""A pushed project becomes active when all it needs is in place; a bad one changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

import fakes
from build_world import FILES, PIPELINE, PIPELINE_YAML, Invoke, World, created
from sluice.catalog import keys
from sluice.catalog.changes import Change, Update
from sluice.domain.build import projects
from sluice.domain.safeguards import Safeguards


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    return World(cloud, invoke)


def project(world: World, version: str) -> dict[str, Any]:
    return world.cloud.catalog.get(keys.project_key(PIPELINE, version)) or {}


def push_bundle(world: World, version: str, bundle: bytes) -> Any:
    key = f"projects/{PIPELINE}/{version}.tar.gz"
    version_id = world.cloud.objects.put(fakes.ARTIFACT_BUCKET, key, bundle)
    return world.invoke("register_project", created(fakes.ARTIFACT_BUCKET, key, version_id))


def with_yaml(old: str, new: str) -> dict[str, bytes]:
    return {**FILES, "pipeline.yaml": PIPELINE_YAML.replace(old, new).encode()}


def test_a_push_publishes_the_scripts_makes_the_group_and_asks_for_a_build(world: World) -> None:
    version = world.push()
    item = project(world, version)
    assert item["status"] == "active"
    objects = world.cloud.objects
    assert objects.read(f"{item['code_prefix']}train.py") == FILES["src/train.py"]
    assert set(projects.unpack(objects.read(item["sourcedir_uri"]))) == {
        "prepare.py",
        "train.py",
        "evaluate.py",
        "inference.py",
        item["train_program"],
    }
    assert projects.unpack(objects.read(item["bundle_uri"])) == FILES
    assert f"sluice--{PIPELINE}" in world.cloud.registry.groups
    assert world.pipeline["project_version"] == version
    assert world.cloud.build_requests.sent == [(PIPELINE, 0)]


def test_the_timeline_says_of_a_push_what_was_pushed_and_who_says_so(world: World) -> None:
    version = world.push()
    entry = next(
        item for item in world.cloud.catalog.items.values() if item.get("event") == "project registered"
    )
    assert (entry["subject"], entry["actor"]) == (version, "sluice")
    assert entry["detail"].startswith("no git commit")


def test_the_same_push_five_times_is_registered_once(world: World) -> None:
    version = world.push()
    before = dict(world.cloud.catalog.items)
    writes = len(world.cloud.objects.writes)
    for _ in range(4):
        key = f"projects/{PIPELINE}/{version}.tar.gz"
        world.invoke("register_project", created(fakes.ARTIFACT_BUCKET, key))
    assert world.cloud.catalog.items == before
    assert len(world.cloud.objects.writes) == writes


def test_pushing_again_keeps_the_pipelines_build_lock_and_number(world: World) -> None:
    world.push()
    world.upload("a.csv")
    world.later(minutes=2)
    world.ask()
    world.push(train=b"print('better')\n")
    assert (world.pipeline["in_flight"], world.pipeline["build_seq"]) == ("reviews-00001", 1)


def test_an_older_push_whose_event_comes_late_does_not_become_active(world: World) -> None:
    first = world.push()
    world.later(minutes=1)
    second = world.push(train=b"print('better')\n")
    key = f"projects/{PIPELINE}/{first}.tar.gz"
    answer = world.invoke("register_project", created(fakes.ARTIFACT_BUCKET, key))
    assert answer == {"status": "superseded"}
    assert world.pipeline["project_version"] == second


def test_an_older_version_that_is_pushed_again_becomes_active_again(world: World) -> None:
    first = world.push()
    world.later(minutes=1)
    world.push(train=b"print('better')\n")
    world.later(minutes=1)
    assert world.push() == first
    assert world.pipeline["project_version"] == first


@pytest.mark.parametrize("crash_at", ["ensure_group", "send"])
def test_a_crash_leaves_the_project_unfinished_and_the_retry_finishes_it(
    world: World, monkeypatch: pytest.MonkeyPatch, crash_at: str
) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError

    owner = world.cloud.registry if crash_at == "ensure_group" else world.cloud.build_requests
    with monkeypatch.context() as patched:
        patched.setattr(owner, crash_at, crash)
        with pytest.raises(RuntimeError):
            world.push()
    version = world.push()
    assert project(world, version)["status"] == "active"
    assert f"sluice--{PIPELINE}" in world.cloud.registry.groups
    assert (PIPELINE, 0) in world.cloud.build_requests.sent


def test_two_pushes_at_once_are_settled_by_a_retry(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.push()
    world.later(minutes=1)
    apply = world.cloud.catalog.apply

    def overtaken(*changes: Change) -> bool:
        return not any(isinstance(change, Update) for change in changes) and apply(*changes)

    monkeypatch.setattr(world.cloud.catalog, "apply", overtaken)
    with pytest.raises(Exception, match=PIPELINE):
        world.push(train=b"print('better')\n")


@pytest.mark.parametrize(
    ("version", "files", "words"),
    [
        ("0" * 64, None, "no readable tar.gz"),
        ("0" * 64, FILES, "its key says"),
        (None, with_yaml("label: y", "label: z"), "data.label"),
        (None, with_yaml("reviews", "others"), "'others'"),
        (None, {path: data for path, data in FILES.items() if path != "src/train.py"}, "src/train.py"),
    ],
)
def test_a_bad_bundle_is_refused_with_reasons_and_the_version_before_stays(
    world: World, version: str | None, files: dict[str, bytes] | None, words: str
) -> None:
    before = world.push()
    bad = version or projects.version(files or {})
    bundle = projects.pack(files) if files else b"not an archive"
    assert push_bundle(world, bad, bundle) == {"status": "refused"}
    refused = project(world, bad)
    assert refused["status"] == "refused"
    assert words in " ".join(refused["reasons"])
    assert world.pipeline["project_version"] == before
    assert "project refused" in world.events()


def test_a_version_whose_bundle_was_bad_is_taken_once_it_is_right(world: World) -> None:
    version = projects.version(FILES)
    push_bundle(world, version, b"not an archive")
    assert world.push() == version
    assert (project(world, version)["status"], project(world, version).get("reasons")) == ("active", None)


def test_what_it_publishes_itself_is_no_push(world: World) -> None:
    version = world.push()
    key = f"projects/{PIPELINE}/{version}/sourcedir.tar.gz"
    answer = world.invoke("register_project", created(fakes.ARTIFACT_BUCKET, key))
    assert answer == {"status": "ignored"}


def test_data_that_came_before_the_project_are_announced_again_once(world: World) -> None:
    assert world.upload("a.csv") == {"status": "unclaimed"}
    world.push()
    (entry,) = world.cloud.bus.entries
    detail_type, detail, _ = entry
    assert (detail_type, detail["object"]["key"]) == ("Object Created", f"{PIPELINE}/a.csv")
    assert world.invoke("record_arrival", {"detail": detail}) == {"status": "accepted"}
    world.push(train=b"print('better')\n")
    assert len(world.cloud.bus.entries) == 1


def test_requirements_are_noticed(world: World) -> None:
    files = {**FILES, "src/requirements.txt": b"rich\n"}
    version = projects.version(files)
    push_bundle(world, version, projects.pack(files))
    assert project(world, version)["has_requirements"] is True


def test_what_must_be_installed_is_refused_where_jobs_have_no_network(world: World) -> None:
    world.cloud.safeguards = Safeguards(isolates_jobs=True)
    files = {**FILES, "src/requirements.txt": b"six==1.17.0\n"}
    version = projects.version(files)
    assert push_bundle(world, version, projects.pack(files)) == {"status": "refused"}
    assert "name an image that holds what the scripts need" in project(world, version)["reasons"][0]
    assert push_bundle(world, projects.version(FILES), projects.pack(FILES)) == {"status": "active"}


def test_a_push_that_approves_itself_is_refused_unless_the_stack_allows_it(world: World) -> None:
    automatic = f"{PIPELINE_YAML}register: {{approval: automatic}}\n".encode()
    version = world.push(pipeline=automatic)
    assert project(world, version)["status"] == "refused"
    (reason,) = project(world, version)["reasons"]
    assert "set it to manual, or deploy the stack with AutomaticApproval=true" in reason
    world.cloud.allows_automatic_approval = True
    assert world.push(pipeline=automatic) == version
    assert project(world, version)["status"] == "active"


def test_a_push_that_renames_the_group_keeps_the_former_one_in_mind(world: World) -> None:
    world.push()
    for group in ("first", "second", "first"):
        text = PIPELINE_YAML + f"register: {{group: {group}}}\n# {len(world.cloud.catalog.items)}\n"
        world.later(hours=1)
        world.push(pipeline=text.encode())
    assert world.pipeline["group"] == "first"
    assert world.pipeline["groups"] == [f"sluice--{PIPELINE}", "second", "first"]
