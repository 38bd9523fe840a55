"""The page of errors has the tree of all classes, and every name that a state machine knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import asl
from sluice_cli.main import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "errors.md").read_text()
CODE = [ROOT / "layers" / "common" / "sluice", ROOT / "functions", ROOT / "cli" / "sluice_cli"]
MACHINES = sorted((ROOT / "statemachines").glob("*.asl.yaml"))
# Step Functions' names for what became of a function, or of a state.
NOT_OURS = ("States.", "Lambda.", "Runtime.", "Sandbox.")


def classes() -> dict[str, list[str]]:
    """The bases of every class of an error, by its name. An error is what is named so: `...Error`."""
    found: dict[str, list[str]] = {}
    for path in (path for folder in CODE for path in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
                if any(base.endswith(("Error", "Exception")) for base in bases):
                    assert node.name not in found, f"{node.name} is two errors"
                    found[node.name] = bases
    return found


CLASSES = classes()
PUBLIC = {name for name in CLASSES if not name.startswith("_")}


def tree() -> Iterator[tuple[str, str]]:
    """The pairs of an error and the base it stands under, in the page's tree."""
    (block,) = re.findall(r"```text\n(Exception\n.*?)```", PAGE, re.DOTALL)
    above: list[str] = []
    for line in block.splitlines():
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        del above[depth:]
        if above:
            yield name, above[-1]
        above.append(name)


def also() -> dict[str, str]:
    """The second base of an error, which the tree names behind it."""
    return dict(re.findall(r"^ *(\w+Error)\b.*\(also (\w+Error)\)$", PAGE, re.MULTILINE))


def test_every_error_is_named_so() -> None:
    assert [name for name in CLASSES if not name.endswith("Error")] == []


def test_the_tree_of_the_page_is_the_tree_of_the_code() -> None:
    told = dict(tree())
    assert set(told) - {"ValueError", "LookupError", "TarError"} == PUBLIC
    second = also()
    for name in PUBLIC:
        bases = [told[name], *([second[name]] if name in second else [])]
        assert sorted(CLASSES[name]) == sorted(bases), name


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_the_page_says_of_every_error_who_raises_it(name: str) -> None:
    """A row of a table, beside its place in the tree."""
    assert re.search(rf"^\| [^|]*`{name}`", PAGE, re.MULTILINE)


def named(definition: asl.Definition) -> Iterator[str]:
    for state in definition["States"].values():
        for handler in [*state.get("Retry", []), *state.get("Catch", [])]:
            yield from handler["ErrorEquals"]
        if state["Type"] == "Map":
            yield from named(state["ItemProcessor"])


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.name)
def test_a_state_machine_waits_for_no_error_that_does_not_exist(path: Path) -> None:
    """A misspelt name in a Retry or Catch is never heard of."""
    ours = {name for name in named(asl.load(path)) if not name.startswith(NOT_OURS)}
    assert ours <= PUBLIC


def test_the_page_has_every_way_in_which_a_command_ends() -> None:
    codes = re.findall(r"^EXIT_\w+ = (\d+)$", (ROOT / "cli/sluice_cli/errors.py").read_text(), re.MULTILINE)
    assert codes
    for code in ["0", *codes]:
        assert re.search(rf"^\| {code} \|", PAGE, re.MULTILINE), code


def commands(command: Any, *path: str) -> Iterator[tuple[str, str]]:
    """Each command with what its help says."""
    yield " ".join(path), " ".join((command.help or "").split())
    for name, each in getattr(command, "commands", {}).items():
        yield from commands(each, *path, name)


def test_the_page_names_each_command_whose_answer_may_be_no_and_so_does_its_help() -> None:
    (row,) = re.findall(r"^\| 3 \|(.*)\|$", PAGE, re.MULTILINE)
    of_page = {name.partition(" --")[0] for name in re.findall(r"`([a-z][a-z -]*)`", row)}
    said = dict(commands(typer.main.get_command(app)))
    assert of_page == {name for name, text in said.items() if re.search(r"exits (\w.* )?3 if", text, re.I)}
