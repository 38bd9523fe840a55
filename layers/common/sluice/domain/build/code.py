"""Tell which files of the script folder a step depends on.

All scripts lie in one folder, so that they may import each other. A step depends on each file there, except
scripts of other steps that none of its own files imports. Where a file loads code or looks for files in a way
that cannot be seen without running it, the step depends on the whole folder.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

# Whoever uses one of these may read any file of the folder.
_READS_ANY = {
    "__file__",
    "__import__",
    "compile",
    "eval",
    "exec",
    "getsource",
    "importlib",
    "inspect",
    "pkgutil",
    "runpy",
    "subprocess",
    "system",
    "popen",
    "zipimport",
}
# So do texts that name the folder.
_NAMES_FOLDER = ("SM_MODULE_DIR", "SAGEMAKER_SUBMIT_DIRECTORY", "/opt/ml/code", "/input/code")
# An item of the catalog has little room beside a large config.
_LISTED_MAX_BYTES = 8_000


def digests(files: Mapping[str, bytes]) -> dict[str, str] | None:
    """Return the sha256 of each file by its path in the folder; None if they are too many to be listed."""
    found = {path: hashlib.sha256(data).hexdigest() for path, data in sorted(files.items())}
    return found if sum(len(path.encode()) + 64 for path in found) <= _LISTED_MAX_BYTES else None


def unread(files: Mapping[str, bytes], scripts: Mapping[str, str]) -> dict[str, list[str]]:
    """Return which scripts of other steps each step does not depend on; `scripts` are paths in the folder."""
    return {step: sorted(_unread(files, script, set(scripts.values()))) for step, script in scripts.items()}


def _unread(files: Mapping[str, bytes], script: str, scripts: set[str]) -> set[str]:
    others = scripts - {script}
    left = {path for path in files if path not in others}
    while left:
        path = left.pop()
        if path.endswith(".py"):
            found = _read_by(files[path], others)
            if found is None:
                return set()
            left |= found
            others -= found
    return others


def _read_by(source: bytes, others: set[str]) -> set[str] | None:
    """Return which of the other scripts a file may read; None if it may read any."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None
    modules = {PurePosixPath(path).stem: path for path in others}
    found: set[str] = set()
    for word in _words(tree):
        if word in _READS_ANY:
            return None
        if word in modules:
            found.add(modules[word])
    for text in _texts(tree):
        if any(name in text for name in _NAMES_FOLDER):
            return None
        found |= {path for path in others if PurePosixPath(path).name in text}
    return found


def _words(tree: ast.AST) -> Iterator[str]:
    """Yield what is imported and which names are used that may load code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (part for alias in node.names for part in alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            yield from (node.module or "").split(".")
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Name) and node.id in _READS_ANY:
            yield node.id
        elif isinstance(node, ast.Attribute) and node.attr in _READS_ANY - {"compile", "eval"}:
            # `model.eval()` and `re.compile()` load no code.
            yield node.attr


def _texts(tree: ast.AST) -> Iterator[str]:
    return (n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str))
