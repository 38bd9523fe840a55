"""A built template takes the runtime and the architecture that its layers hold wheels of, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sluice_cli import built

TEMPLATE = """\
Parameters:
  PythonRuntime:
    Type: String
    Default: python3.12
    AllowedValues:
    - python3.11
    - python3.12
    Description: one
  Architecture:
    Type: String
    Default: arm64
    AllowedValues: [arm64, x86_64]
  LogLevel:
    Type: String
"""


def test_what_it_was_built_for_is_the_default_and_all_that_it_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(TEMPLATE)
    for _ in range(2):
        built.main(str(path), "PythonRuntime=python3.11", "Architecture=x86_64")
    parameters = yaml.safe_load(path.read_text())["Parameters"]
    only = {"Type": "String", "Default": "python3.11", "AllowedValues": ["python3.11"]}
    assert parameters["PythonRuntime"] == only
    assert parameters["Architecture"]["AllowedValues"] == ["x86_64"]
    assert parameters["LogLevel"] == {"Type": "String"}
    assert "built for python3.11, x86_64" in capsys.readouterr().out


def test_a_template_without_the_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match="no parameter Region"):
        built.pinned(TEMPLATE, "Region", "x")
