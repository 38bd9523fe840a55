"""The layers run where Lambda's python3.11 runs: on Amazon Linux 2."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

import asl

ROOT = Path(__file__).parents[2]
LAYERS = ["archives", "common", "data", "installer", "signing"]
AMAZON_LINUX_2 = {"GLIBC": (2, 26), "GLIBCXX": (3, 4, 24), "CXXABI": (1, 3, 11)}


def required(layer: str) -> dict[str, str]:
    """The pinned packages of a layer."""
    text = (ROOT / "layers" / layer / "requirements.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("layer", LAYERS)
def test_what_a_layer_ships_is_what_is_tested_here(layer: str) -> None:
    for package, version in required(layer).items():
        assert metadata.version(package) == version, package


@pytest.mark.parametrize("layer", LAYERS)
def test_every_package_is_pinned_by_its_hash(layer: str) -> None:
    text = (ROOT / "layers" / layer / "requirements.txt").read_text()
    entries = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_is_built_for_what_the_template_says_unless_told_otherwise(layer: str) -> None:
    parameters = asl.load_template(ROOT / "template.yaml")["Parameters"]
    text = (ROOT / "layers" / layer / "Makefile").read_text()
    assert f"$(or $(PYTHON_RUNTIME),{parameters['PythonRuntime']['Default']})" in text
    assert parameters["Architecture"]["Default"] == "arm64"
    assert "$(if $(filter x86_64,$(LAMBDA_ARCHITECTURE)),x86_64,aarch64)" in text
    assert f"ARCHITECTURE ?= {parameters['Architecture']['Default']}" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_is_built_wherever_the_checkout_is(layer: str, tmp_path: Path) -> None:
    """Also where folders have spaces in their names."""
    uv = tmp_path / "some tools/uv"
    uv.parent.mkdir()
    uv.touch(mode=0o755)
    planned = subprocess.run(
        [
            shutil.which("make") or "make",
            "-n",
            f"build-{layer.title()}Layer",
            "ARTIFACTS_DIR=/made for/layer",
        ],
        cwd=ROOT / "layers" / layer,
        env={"PATH": f"{uv.parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    words = [word for line in planned.splitlines() if not line.startswith("#") for word in shlex.split(line)]
    assert words[0] == str(uv)
    assert "/made for/layer/python" in words
    assert all("/made for/layer/python" in word for word in words if "made" in word or "for/" in word)


def test_no_layer_ships_what_lambda_has() -> None:
    assert not {"boto3", "botocore"} & {package for layer in LAYERS for package in required(layer)}


@pytest.mark.parametrize("package", ["cffi", "duckdb", "markupsafe", "pydantic-core", "pyyaml", "zstandard"])
def test_a_binary_asks_for_no_symbol_that_amazon_linux_2_lacks(package: str) -> None:
    libraries = [Path(str(f.locate())) for f in metadata.files(package) or [] if f.name.endswith(".so")]
    assert libraries
    for library in libraries:
        wanted = re.findall(rb"\b(GLIBC|GLIBCXX|CXXABI)_(\d+(?:\.\d+)+)\0", library.read_bytes())
        assert wanted
        for name, version in wanted:
            newest = AMAZON_LINUX_2[name.decode()]
            assert tuple(map(int, version.split(b"."))) <= newest, f"{library.name} wants {name}_{version}"


def test_a_function_carries_only_the_layers_that_it_needs() -> None:
    """Each megabyte is fetched at each cold start. What is missing here, the end-to-end tests miss too."""
    resources = asl.load_template(ROOT / "template.yaml")["Resources"].values()
    functions = [each["Properties"] for each in resources if each["Type"] == "AWS::Serverless::Function"]
    carried = {(Path(each["CodeUri"]).name, *each.get("Layers", ())) for each in functions}
    assert {each for each in carried if len(each) > 1} == {
        ("build_environment", "ArchivesLayer", "InstallerLayer"),
        ("check_gates", "DataLayer"),
        ("console", "DataLayer"),
        ("monitor_endpoint", "DataLayer"),
        ("plan_release", "SigningLayer"),
        ("run_job", "ArchivesLayer", "OptMlLayer"),
        ("validate_data", "DataLayer"),
    }
    installed = set(required("common"))
    assert not installed & {"cryptography", "duckdb", "jinja2", "uv", "zstandard"}
