"""What a function loads before its handler runs. Which package imports which is for `make lint` to check."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
APPS = sorted((ROOT / "functions").glob("*/app.py"))
# They alone have the layer with the engine and with what writes pages.
WITH_DATA_LAYER = ("validate_data", "monitor_endpoint", "console")
# What a client needs is loaded when the first one is made, and what judges data never.
NEVER = ("duckdb", "jinja2", "boto3", "botocore.session", "sluice.quality.engine", "sluice.quality.report")
# Half of what others load. They parse nothing that a model describes: what they read, the stack wrote.
WITHOUT_PYDANTIC = ("reconcile", "run_job")
# Most modules of `reconcile`: it took a fifth longer than its predecessor while it loaded what acts, too.
RECONCILE_MODULES_MAX = 47
# Only what is refused needs a suggestion; Powertools' parser is not worth what it loads (docs/decisions.md).
NEVER_AT_ONCE = ("difflib", "aws_lambda_powertools.utilities.parser", "pydantic.networks")
# It alone parses a pipeline.yaml; the others restore what it has stored.
WITH_YAML = "register_project"
# The most modules of ours: thirty are the contract's fields and checks. The widest function loads just these.
MODULES_MAX = 96

# Dataclasses that `sluice.lazy` cannot stand for: ordered ones, those that cache a value, those that change.
AT_ONCE = {
    "app._Kept",
    "sluice.domain.config.source.Source",
    "sluice.domain.data.datasets.DatasetManifest",
    "sluice.domain.data.datasets.ObjectVersion",
    "sluice.domain.data.segments.DatasetHead",
    "sluice.domain.monitor.capture.Traffic",
    "sluice.domain.predictions.bias._Facet",
    "sluice.domain.predictions.table.Predictions",
    "sluice.services.monitoring.watched.Watched",
    "sluice.services.data.tracing._Search",
}

# It imports nothing of ours.
STANDARD_LIBRARY_ONLY = "sluice.containers."

# Each function in a process of its own, forked after what all of them load; after "-", after pydantic too.
LOADED = """
import dataclasses, json, os, sys
import aws_lambda_powertools

def at_once():
    for name, module in list(sys.modules.items()):
        if name.startswith("sluice.") or name == "app":
            for found in vars(module).values():
                if isinstance(found, type) and dataclasses.is_dataclass(found) and found.__module__ == name:
                    if getattr(found.__setattr__, "__module__", "") != "sluice.lazy":
                        yield f"{name}.{found.__qualname__}"

for folder in sys.argv[1:]:
    if folder == "-":
        from pydantic import AliasChoices, AliasPath, BaseModel, Field, model_validator
    elif os.fork() == 0:
        sys.path.insert(0, folder)
        import app
        print(json.dumps([folder, sorted(sys.modules), sorted(at_once())]), flush=True)
        os._exit(0)
    else:
        assert os.wait()[1] == 0, folder
"""


@pytest.fixture(scope="module")
def reports() -> list[tuple[str, list[str], list[str]]]:
    """Of each function that can take its first event: name, modules, and dataclasses that are not lazy."""
    light = [str(app.parent) for app in APPS if app.parent.name in WITHOUT_PYDANTIC]
    folders = [*light, "-", *(str(app.parent) for app in APPS if str(app.parent) not in light)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "layers" / "common")}
    command = [sys.executable, "-c", LOADED, *folders]
    lines = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    return [(Path(folder).name, *found) for folder, *found in map(json.loads, lines.splitlines())]


@pytest.fixture(scope="module")
def loaded(reports: list[tuple[str, list[str], list[str]]]) -> dict[str, list[str]]:
    """The modules that each function has loaded when it can take its first event, by the function's name."""
    return {name: modules for name, modules, _ in reports}


def test_a_function_compiles_a_dataclass_when_it_makes_the_first_one(
    reports: list[tuple[str, list[str], list[str]]],
) -> None:
    """Half a millisecond of a cold start for each: decorate them with `sluice.lazy.dataclass`."""
    found = {name for _, _, names in reports for name in names if not name.startswith(STANDARD_LIBRARY_ONLY)}
    assert found - AT_ONCE == set()


@pytest.mark.parametrize("name", [app.parent.name for app in APPS if app.parent.name not in WITH_DATA_LAYER])
def test_a_function_of_the_control_plane_loads_what_it_decides_with_and_no_more(
    loaded: dict[str, list[str]], name: str
) -> None:
    never = NEVER if name == WITH_YAML else (*NEVER, "yaml")
    assert [module for module in loaded[name] if module.startswith(never)] == []
    ours = [module for module in loaded[name] if module.startswith("sluice.")]
    assert 0 < len(ours) <= MODULES_MAX


@pytest.mark.parametrize("name", WITHOUT_PYDANTIC)
def test_a_function_that_parses_nothing_loads_no_parser(loaded: dict[str, list[str]], name: str) -> None:
    assert [module for module in loaded[name] if module.startswith("pydantic")] == []


def test_what_only_looks_loads_nothing_that_acts(loaded: dict[str, list[str]]) -> None:
    """`reconcile` runs every few minutes and mostly finds nothing."""
    ours = [module for module in loaded["reconcile"] if module.startswith("sluice.")]
    assert "sluice.ports" not in ours
    assert len(ours) <= RECONCILE_MODULES_MAX, ours


@pytest.mark.parametrize("name", [app.parent.name for app in APPS])
def test_a_function_does_not_load_what_only_a_rare_event_needs(
    loaded: dict[str, list[str]], name: str
) -> None:
    assert [module for module in loaded[name] if module in NEVER_AT_ONCE] == []


@pytest.mark.parametrize(
    "name", ["react_to_alarm", "record_approval", "finish_job", "finish_release", "record_arrival"]
)
def test_a_function_that_reads_no_project_does_not_load_what_a_project_may_say(
    loaded: dict[str, list[str]], name: str
) -> None:
    """Two fifths of what it would load."""
    assert "sluice.domain.config" not in loaded[name]


@pytest.mark.parametrize(
    "name",
    [
        "record_arrival",
        "record_deletion",
        "recall_data",
        "release_data",
        "start_build",
        "snapshot_dataset",
        "validate_data",
        "start_job",
        "finish_job",
        "finish_run",
    ],
)
def test_a_function_of_data_and_builds_loads_nothing_of_releases(
    loaded: dict[str, list[str]], name: str
) -> None:
    """The models and records of releases would be a fifth of what it loads."""
    of_releases = ("sluice.release_events", "sluice.domain.release", "sluice.catalog.records.releases")
    assert [module for module in loaded[name] if module.startswith(of_releases)] == []


def test_a_function_reads_no_environment_while_it_is_loaded(loaded: dict[str, list[str]]) -> None:
    """All of them were loaded without one. What is read at import, no test can vary."""
    assert set(loaded) == {app.parent.name for app in APPS}


@pytest.mark.parametrize("path", APPS, ids=lambda path: path.parent.name)
def test_a_function_imports_neither_the_local_cloud_nor_the_command(path: Path) -> None:
    """The import linter checks packages, and a function's folder is none."""
    assert not {module.partition(".")[0] for module in imported(path)} & {"sluice_local", "sluice_cli"}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_no_module_imports_what_imports_it() -> None:
    """The import linter holds siblings apart, but not a package from the modules in it."""
    graph = grimp.build_graph("sluice", "sluice_cli", "sluice_local", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    TopologicalSorter(imports).prepare()
