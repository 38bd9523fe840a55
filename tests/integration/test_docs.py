"""What the documents name is there: pages, headings, files, modules, make targets, commands and options."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import botocore.session
import pytest
import typer
import yaml
from botocore import xform_name
from botocore.exceptions import UnknownServiceError

from sluice.catalog.records.notices import Kind
from sluice.domain.config import images
from sluice.domain.config.checks import CHECKS
from sluice_cli.main import app

ROOT = Path(__file__).parents[2]
FOLDERS = ("*.md", "docs/*.md", "examples/**/*.md", ".github/**/*.md")
PAGES = sorted(page for folder in FOLDERS for page in ROOT.glob(folder))
# They tell of what was, too.
OF_THEIR_TIME = {"CHANGELOG.md", "decisions.md"}
TODAYS = [path for path in PAGES if path.name not in OF_THEIR_TIME]
# Sources of events that look like modules.
NO_MODULES = {"sluice.cli", "sluice.reconcile"}
# Hidden, and shown all the same.
SHOWN = {".github", ".ci"}
# Below no folder of this repository, a path is one of it if its suffix says so.
SUFFIXES = (".py", ".yaml", ".toml", ".md", ".j2", ".txt")
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
VERSION = re.compile(r"\d+\.\d[\w.-]*")
PATH = re.compile(r"^[\w.<>*…{},/-]+$")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


pages = pytest.mark.parametrize("page", PAGES, ids=name_of)
todays = pytest.mark.parametrize("page", TODAYS, ids=name_of)


@cache
def repository() -> tuple[str, ...]:
    """The paths of its files and folders, but of what is made or hidden."""
    found: list[str] = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name in SHOWN or name[0] not in "._"]
        found += [(Path(folder) / name).relative_to(ROOT).as_posix() for name in (*folders, *files)]
    return tuple(found)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pages
def test_a_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    dead = []
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file) if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert not dead


@todays
def test_a_file_that_is_named_is_there(page: Path) -> None:
    assert not [path for path in paths(page) if not is_there(path)]


def paths(page: Path) -> Iterator[str]:
    """What is in backticks and looks like a path of this repository."""
    for code in CODE.findall(FENCE.sub("", page.read_text())):
        for word in code.split() if " " in code else [code]:
            path = word.rstrip("/").removeprefix("…/")
            if (
                "/" in path
                and PATH.match(path)
                and not path.startswith("./")
                and (of_a_folder(path) or path.endswith(SUFFIXES))
            ):
                yield path


def of_a_folder(path: str) -> bool:
    folder = path.split("/", 1)[0]
    return (
        bool(folder)
        and (ROOT / folder).is_dir()
        and (folder in SHOWN or folder[0] != ".")
        and is_ours(folder)
    )


def is_ours(folder: str) -> bool:
    """Tell whether a folder is of this repository: the README has people make a project beside these."""
    return not (ROOT / folder / "pipeline.yaml").exists()


def is_there(path: str) -> bool:
    """Wherever the path's beginning is: docs/architecture.md counts from a package's folder."""
    spelt = re.escape(path.replace("…", "*"))
    spelt = re.sub(r"<[^>]*>", "[^/]+", spelt).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
    spelt = re.sub(r"\\\{([^}]*)\\\}", lambda found: f"({found[1].replace(',', '|')})", spelt)
    return any(re.search(rf"(^|/){spelt}$", name) for name in repository())


@todays
def test_a_module_that_is_named_is_there(page: Path) -> None:
    names = re.findall(r"`((?:sluice|sluice_cli|sluice_local)(?:\.\w+)+)`", page.read_text())
    assert not [name for name in names if name not in NO_MODULES and not is_importable(name)]


def is_importable(name: str) -> bool:
    """A module, or what one holds."""
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        return "." in module and hasattr(importlib.import_module(module), attribute)
    return True


@pages
def test_a_make_target_that_is_named_is_one(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {match[1] for line in commands(page) if (match := re.match(r"make ([a-z0-9]+)", line))}
    assert named <= targets


@todays
def test_a_command_that_is_named_is_one_with_these_options(page: Path) -> None:
    assert not [f"{line}: {fault}" for line in commands(page) if (fault := fault_of(line))]


def commands(page: Path) -> Iterator[str]:
    """What can be typed: lines of blocks, and code in backticks, without comments; one command each."""
    text = page.read_text()
    blocks = [line for block in FENCE.findall(text) for line in block.splitlines()[1:-1]]
    for line in [*blocks, *CODE.findall(FENCE.sub("", text))]:
        for part in re.split(r"&&|\||;| -> ", line.split(" #")[0]):
            yield part.strip().removeprefix("$ ")


def fault_of(line: str) -> str | None:
    """Why a line that begins with `sluice` is no command of it."""
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    if words[:1] != ["sluice"] or len(words) == 1:
        return None
    command: Any = typer.main.get_command(app)
    for word in words[1:]:
        if word.startswith("-"):
            spelt = word.split("=")[0]
            known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
            if spelt not in known | {"--help"}:
                return f"{command.name} has no {spelt}"
        elif hasattr(command, "commands") and re.fullmatch(r"[a-z][a-z-]*(\|[a-z-]+)*", word):
            if word not in command.commands:
                return f"{command.name} has no command {word}"
            command = command.commands[word]
    return None


def test_the_workflow_runs_make_targets_on_every_python_that_setup_takes() -> None:
    makefile = (ROOT / "Makefile").read_text()
    jobs = yaml.safe_load((ROOT / ".github/workflows/check.yaml").read_text())["jobs"]
    for job in jobs.values():
        for step in job["steps"]:
            pinned = re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step.get("uses", "a/b@" + "0" * 40))
            assert pinned, step
            made = re.fullmatch(r"make ([a-z0-9]+) PYTHON=python", step.get("run", "make test PYTHON=python"))
            assert made, step
            assert re.search(rf"^{made[1]}:", makefile, re.MULTILINE)
    taken = re.search(r"not in \(((\(3, \d+\)(, )?)+)\)", makefile)
    assert taken
    parts = re.search(r"^test: (.*?) ##", makefile, re.MULTILINE)
    assert parts
    runs = {step.get("run") for job in jobs.values() for step in job["steps"]}
    assert {f"make {part} PYTHON=python" for part in parts[1].split()} <= runs
    on = {python for job in jobs.values() for python in job["strategy"]["matrix"]["python"]}
    assert on == {f"3.{minor}" for minor in re.findall(r"3, (\d+)", taken[1])}


def test_the_workflow_of_projects_runs_commands_that_there_are() -> None:
    targets = (ROOT / "Makefile").read_text()
    jobs = yaml.safe_load((ROOT / "examples/ci/github.yaml").read_text())["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]) for step in steps if "uses" in step)
    lines = [step["run"] for step in steps if "run" in step]
    assert not [fault for line in lines if (fault := fault_of(line))]
    made = [match[1] for line in lines if (match := re.match(r"make -C sluice ([a-z]+)", line))]
    assert made
    assert all(re.search(rf"^{target}:", targets, re.MULTILINE) for target in made)


def test_each_check_of_a_contract_has_its_line() -> None:
    reference = (ROOT / "docs/pipeline-yaml.md").read_text()
    lines = re.findall(r"^\| ([a-z_]+(?:, [a-z_]+)*) \|", reference, re.MULTILINE)
    named = {name for line in lines for name in line.split(", ")}
    checks = {tag for model in CHECKS for tag in get_args(model.model_fields["check"].annotation)}
    assert checks <= named


@pytest.mark.parametrize("name", ["scikit-learn", "xgboost", "pytorch", "tensorflow", "huggingface"])
def test_a_frameworks_line_has_the_versions_that_it_trains_and_serves_in(name: str) -> None:
    page = (ROOT / "docs/pipeline-yaml.md").read_text()
    (line,) = re.findall(rf"^\| {name} \| (.*?\d.*?) \|", page, re.MULTILINE)
    trains, _, serves = line.partition("serves: ")
    assert re.findall(VERSION, trains) == [*images.versions(name)]
    if "up to" in serves:
        assert re.findall(VERSION, serves) == [images.versions(name, "inference")[-1]]
    else:
        assert re.findall(VERSION, serves or trains) == [*images.versions(name, "inference")]


def test_each_kind_of_notice_by_which_subscribers_filter_has_its_line() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    lines = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", page.partition("## Batches")[0], re.MULTILINE)
    assert sorted(re.findall(r"\w+", " ".join(lines))) == sorted(get_args(Kind))


# What the AWS CLI calls otherwise than the API does.
RENAMED = {("sns", "subscribe"): {"notification-endpoint": "endpoint"}}


def test_a_command_of_the_aws_cli_is_one_with_these_options() -> None:
    told = [*TODAYS, ROOT / "template.yaml", *(ROOT / "cli").rglob("*.py"), *(ROOT / "layers").rglob("*.py")]
    lines = re.sub(r"\\\n\s*", "", "\n".join(path.read_text() for path in told))
    found = re.findall(r"(?<!--)\baws ([a-z0-9-]+)\s+([a-z-]+)((?: [^`|\n]*)?)", lines)
    assert len(found) > 10
    assert not [f"{each}: {fault}" for each in found if (fault := aws_fault_of(*each))]


@cache
def aws_model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


def aws_fault_of(service: str, command: str, rest: str) -> str | None:
    """Why this is no command of the AWS CLI, which has the API's operations and their members."""
    if service == "s3":
        return None  # its commands are the CLI's own
    try:
        model = aws_model({"s3api": "s3"}.get(service, service))
    except UnknownServiceError:
        return f"no service {service}"
    operations = {xform_name(each, "-"): each for each in model.operation_names}
    if command not in operations:
        return f"no command {command}"
    shape = model.operation_model(operations[command]).input_shape
    known = {xform_name(member, "-") for member in (shape.members if shape else ())}
    given = {
        RENAMED.get((service, command), {}).get(each, each) for each in re.findall(r" --([a-z-]+)", rest)
    }
    return f"no options {given - known}" if given - known else None


def test_nobody_is_told_to_install_sluice_from_an_index() -> None:
    """There that name is another's project."""
    told = [*TODAYS, *(ROOT / "cli").rglob("*.py"), *(ROOT / "layers/common/sluice").rglob("*.py")]
    assert [path for path in told if re.search(r"install\W+sluice\b", path.read_text())] == []


def test_each_benchmark_has_its_line_which_says_whether_make_bench_plays_it() -> None:
    page = (ROOT / "docs/benchmarks.md").read_text()
    lines = dict(re.findall(r"^\| `(benchmarks/\w+\.py)` \|(.*)\|$", page, re.MULTILINE))
    programs = {path for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text()}
    assert lines.keys() == {path.relative_to(ROOT).as_posix() for path in programs}
    played = set(
        re.findall(r"^\t\$\(PY\) (benchmarks/\w+\.py)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    )
    assert {name for name, said in lines.items() if "Not part of `make bench`" not in said} == played
    (without,) = re.findall(r"All but ((?:`\w+\.py`[, and]*)+) write", page)
    bare = {path.name for path in programs if " = arguments(" not in path.read_text()}
    assert set(re.findall(r"`(\w+\.py)`", without)) == bare


def test_a_hook_runs_a_tool_of_make_lint_or_make_types() -> None:
    makefile = (ROOT / "Makefile").read_text().replace("$(PY)", ".venv/bin/python")
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    for hook in (hook for repository in config["repos"] for hook in repository["hooks"]):
        assert re.split(r" (--|check )", hook["entry"])[0] in makefile, hook["id"]


def test_a_decision_stands_once_under_its_subject_with_its_date() -> None:
    text = (ROOT / "docs/decisions.md").read_text()
    headings = re.findall(r"^##+ (.*)$", text, re.MULTILINE)
    assert len(set(headings)) == len(headings)
    decisions = re.split(r"^### .*\n", text, flags=re.MULTILINE)[1:]
    assert len(decisions) > 90
    undated = [each for each in decisions if not re.match(r"\*\d{4}-\d\d-\d\d\.\* \S", each)]
    assert not undated
    # A decision without a subject would stand between two of them.
    subjects = re.split(r"^## .*\n", text, flags=re.MULTILINE)[1:]
    assert all(subject.lstrip().startswith("### ") for subject in subjects)


def test_the_changelog_tells_each_change_once() -> None:
    entries = re.findall(r"^- .*(?:\n  .*)*", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert len(entries) > 100
    # Merges keep both copies of an entry that one side has moved.
    assert [entry for entry, copies in Counter(entries).items() if copies > 1] == []


def test_the_version_is_that_of_the_newest_entry_of_the_changelog() -> None:
    released = re.findall(
        r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.M
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == released[0]
