"""What decides reads records, whose attributes mypy knows: an item just lacks one that is misspelt."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READS = {"get", "get_all", "query", "listing"}
# Index entries, which are no more than what they name; what a task waits for, which tells its record.
PLAIN = {
    ("arrivals.py", "included"),
    ("old_logs.py", "release_id"),
    ("presence.py", "key"),
    ("record_arrival/app.py", "gsi1sk"),
    ("tracing.py", "created_at"),
    ("tracing.py", "run_id"),
    ("tracing.py", "version"),
    ("transform_ends.py", "kind"),
    ("reconcile/app.py", "kind"),
    # Shown as they are.
    ("timeline.py", "subject"),
    ("waiting.py", "status"),
}


def modules() -> Iterator[Path]:
    for folder in ("layers/common/sluice/services", "functions", "cli"):
        yield from (path for path in (ROOT / folder).rglob("*.py") if "views" not in path.parts)


def reads(node: ast.AST) -> bool:
    """Whether a catalog is read in it."""
    return any(
        isinstance(each, ast.Call)
        and isinstance(each.func, ast.Attribute)
        and each.func.attr in READS
        and ast.unparse(each.func.value).rpartition(".")[2] == "catalog"
        for each in ast.walk(node)
    )


def items(function: ast.FunctionDef) -> set[str]:
    """The names in a function of what was read, and of each part of that."""
    named: set[str] = set()
    for _ in range(2):
        for node in ast.walk(function):
            match node:
                case ast.Assign(targets=targets, value=value):
                    found = targets if reads(value) else []
                case ast.NamedExpr(target=target, value=value):
                    found = [target] if reads(value) else []
                case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value):
                    found = (
                        [target]
                        if reads(value) or (isinstance(value, ast.Name) and value.id in named)
                        else []
                    )
                case _:
                    continue
            named |= {each.id for name in found for each in ast.walk(name) if isinstance(each, ast.Name)}
    return named


def attributes(path: Path) -> Iterator[tuple[str, int]]:
    """The attributes of items that a module names, and where."""
    for function in ast.walk(ast.parse(path.read_text())):
        if not isinstance(function, ast.FunctionDef):
            continue
        known = items(function)
        for node in ast.walk(function):
            match node:
                case ast.Subscript(value=of, slice=ast.Constant(value=str(name))):
                    pass
                case ast.Call(
                    func=ast.Attribute(value=of, attr="get"), args=[ast.Constant(value=str(name)), *_]
                ):
                    pass
                case _:
                    continue
            choices = of.values if isinstance(of, ast.BoolOp) else [of]
            if reads(of) or any(isinstance(each, ast.Name) and each.id in known for each in choices):
                yield name, node.lineno


def test_what_decides_names_no_attribute_of_an_item() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in modules()
        for name, line in attributes(path)
        if not any(str(path).endswith(f"/{file}") and name == plain for file, plain in PLAIN)
    ]
    assert found == []


@pytest.mark.parametrize(
    "body",
    [
        "found = cloud.catalog.get(key) or {}\n    return found.get('status')",
        "return (catalog.get(key) or {})['status']",
        "items = cloud.catalog.query(pk)\n    return [item['status'] for item in items]",
        "if item := cloud.catalog.get(key):\n        return item['status']",
    ],
)
def test_such_a_name_is_noticed(tmp_path: Path, body: str) -> None:
    module = tmp_path / "module.py"
    module.write_text(f"def look(cloud, catalog, key, pk):\n    {body}\n")
    assert {name for name, _ in attributes(module)} == {"status"}


def test_what_is_excepted_is_there() -> None:
    found = {(str(path), name) for path in modules() for name, _ in attributes(path)}
    assert [
        one
        for one in PLAIN
        if not any(path.endswith(f"/{one[0]}") and name == one[1] for path, name in found)
    ] == []
