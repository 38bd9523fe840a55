"""What is replaced at run time is ministack's: each function of it by one module, and nothing of our own."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import sluice_local

ROOT = Path(str(sluice_local.__file__)).parent


def replaced() -> Iterator[tuple[str, str]]:
    """What each of our modules assigns to an attribute of another module, by its full name."""
    for path in ROOT.rglob("*.py"):
        tree = ast.parse(path.read_text())
        imported = {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                owner = imported.get(node.value.id) if isinstance(node.value, ast.Name) else None
                if owner is not None:
                    yield str(path.relative_to(ROOT)), f"{owner}.{node.attr}"


def test_no_module_changes_another_one_of_ours() -> None:
    assert [(path, name) for path, name in replaced() if name.startswith("sluice_local")] == []


def test_a_function_of_ministack_is_replaced_in_one_place() -> None:
    places: dict[str, set[str]] = defaultdict(set)
    for path, name in replaced():
        places[name].add(path)
    assert any(name.startswith("ministack.services.stepfunctions.") for name in places)
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}
