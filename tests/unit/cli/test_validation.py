"""`sluice validate` and `sluice schema infer` run the stack's own code, and never end in a traceback."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from build_world import PIPELINE_YAML
from sluice.domain import config
from sluice_cli import main


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pipeline.yaml").write_text(PIPELINE_YAML)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["sluice", *arguments])
    with pytest.raises(SystemExit) as end:
        main.main()
    return int(end.value.code or 0)


@pytest.mark.parametrize(
    ("body", "code", "is_valid"),
    [
        (b"x,y\n1,0\n", 0, True),
        (b"x,y\n200,0\n", 3, False),
        (b"x,y\n200,0\n1\n", 3, False),
        (b"", 2, False),
        (os.urandom(2000), 2, False),
        (b"x;y\n1;0\n", 2, False),
    ],
)
def test_the_exit_code_says_what_the_json_says(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    body: bytes,
    code: int,
    is_valid: bool,
) -> None:
    (project / "data.csv").write_bytes(body)
    assert run(monkeypatch, "validate", "data.csv", "--output", "out", "--json") == code
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert result["is_valid"] is is_valid
    assert json.loads(Path(result["report"]).read_bytes())["is_valid"] is is_valid
    assert Path(result["report_page"]).read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["validate", "nowhere.csv"], "there is no file nowhere.csv"),
        (["validate", "."], ". is a folder"),
        (
            ["validate", "data.csv", "--output", "data.csv"],
            "data.csv cannot be a folder of reports: File exists",
        ),
        (["validate", "data.csv", "--output", "taken"], "taken/report.json: Is a directory"),
        (["validate", "data.csv", "--pipeline", "nowhere"], "there is no folder nowhere"),
        (["validate", "data.csv", "--pipeline", "data.csv"], "line 1"),
        (["validate", "data.csv", "--pipeline", "binary"], "binary is no UTF-8 text"),
        (["validate", "data.csv", "--baseline", "data.csv"], "data.csv is no profile.json"),
        (["validate", "data.csv", "--baseline", "list.json"], "list.json is no profile.json"),
        (["validate", "data.csv", "--baseline", "nowhere"], "there is no file nowhere"),
        (["schema", "infer", "binary"], "binary is no CSV"),
        (["schema", "infer", "empty"], "empty is empty"),
    ],
)
def test_what_cannot_be_read_ends_in_a_sentence(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    (project / "data.csv").write_bytes(b"x,y\n1,0\n")
    (project / "binary").write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff" * 50)
    (project / "empty").write_bytes(b"")
    (project / "list.json").write_bytes(b"[1]")
    (project / "taken" / "report.json").mkdir(parents=True)
    assert run(monkeypatch, *arguments) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "Traceback" not in shown


def test_a_rejection_shows_a_value_and_where_the_report_is(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "data.csv").write_bytes(b"x,y\n1,0\n[bold]seven,1\n")
    assert run(monkeypatch, "validate", "data.csv", "--output", "out") == 3
    shown = capsys.readouterr()
    assert "- x: 1 row not of type number (such as data.csv row 2): [bold]seven\n" in shown.out
    unjudged, *rest = shown.err.splitlines()
    assert unjudged.startswith("not judged: what is about all rows, as the files were judged alone")
    assert rest == ["report: out/report.html"]


def test_of_very_many_violations_only_the_first_are_listed(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = "".join(f"c{index}: {{type: number, severity: warn}}, " for index in range(30))
    (project / "pipeline.yaml").write_text(PIPELINE_YAML.replace("schema: {", f"schema: {{{columns}"))
    header = ",".join(["x", "y", *(f"c{index}" for index in range(30))])
    (project / "data.csv").write_text(f"{header}\n200,0{',a' * 30}\n")
    assert run(monkeypatch, "validate", "data.csv") == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "rejected: 1 row"
    assert lines[1].startswith("  - x: 1 row above 100")
    assert lines[2].startswith("  warning c0: 1 row not of type number")
    assert lines[-1] == "  and 11 more"


def test_what_is_valid_is_to_be_uploaded_next(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "my data.csv").write_bytes(b"x,y\n1,0\n")
    assert run(monkeypatch, "validate", "my data.csv", "my data.csv") == 0
    shown = capsys.readouterr()
    assert shown.out == "valid: 1 row\n"
    assert shown.err.endswith(" 'my data.csv'`\n")
    assert "next: `sluice upload " in shown.err


def test_drift_is_measured_from_a_profile_of_former_data(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    contract = PIPELINE_YAML.replace("  label: y\n", "  label: y\n  drift: {max: 0.2}\n")
    (project / "pipeline.yaml").write_text(contract)
    (project / "old.csv").write_text("x,y\n" + "".join(f"{row % 50},0\n" for row in range(2000)))
    (project / "new.csv").write_text("x,y\n" + "".join(f"{50 + row % 50},0\n" for row in range(2000)))
    assert run(monkeypatch, "validate", "old.csv", "--output", "old") == 0
    assert run(monkeypatch, "validate", "old.csv", "--baseline", "old/profile.json") == 0
    capsys.readouterr()
    assert run(monkeypatch, "validate", "new.csv", "--baseline", "old/profile.json", "--json") == 3
    assert "x: psi" in json.loads(capsys.readouterr().out)["reasons"][0]


def test_an_inferred_schema_is_one_that_the_file_keeps(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"{row};2026-01-0{row % 9 + 1};{row % 2};kind {row % 3};{row}.5;\n" for row in range(60))
    (project / "data.csv").write_text("id;when;y;kind;v;no\n" + rows)
    assert run(monkeypatch, "schema", "infer", "data.csv", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert {name: column["type"] for name, column in found["schema"].items()} == {
        "id": "integer",
        "when": "timestamp",
        "y": "integer",
        "kind": "string",
        "v": "number",
        "no": "string",
    }
    assert found["schema"]["kind"]["allowed"] == ["kind 0", "kind 1", "kind 2"]
    assert found["schema"]["y"] == {"type": "integer", "required": True, "allowed": [0, 1]}
    assert run(monkeypatch, "schema", "infer", "data.csv") == 0
    draft = capsys.readouterr().out
    head, tail = PIPELINE_YAML.split("data:\n")[0], "prepare:" + PIPELINE_YAML.split("prepare:")[1]
    contract = head + draft + "  label: y\n" + tail
    assert config.load(contract).data.csv.delimiter == ";"
    (project / "pipeline.yaml").write_text(contract)
    assert run(monkeypatch, "validate", "data.csv") == 0


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_schema_is_inferred_of_any_format(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    import duckdb

    options = "FORMAT json" if name.endswith("jsonl") else "FORMAT parquet"
    duckdb.connect().execute(f"COPY (SELECT 1 AS id, 2.5 AS v, 'a' AS t) TO '{project / name}' ({options})")
    assert run(monkeypatch, "schema", "infer", name, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["format"] == name.partition(".")[2]
    types = {column: facts["type"] for column, facts in found["schema"].items()}
    assert types == {"id": "integer", "v": "number", "t": "string"}


def test_a_file_that_is_named_twice_is_one(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "data.csv").write_bytes(b"x,y\n1,0\n")
    (project / "link.csv").symlink_to(project / "data.csv")
    assert run(monkeypatch, "validate", "data.csv", str(project / "data.csv"), "link.csv", "--json") == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 1


def test_that_drift_cannot_be_told_of_few_rows_is_said(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = PIPELINE_YAML.replace("  schema:", "  drift: {max: 0.1, columns: [x]}\n  schema:", 1)
    (project / "pipeline.yaml").write_text(text)
    (project / "old.csv").write_bytes(b"x,y\n1,0\n2,0\n3,0\n")
    (project / "new.csv").write_bytes(b"x,y\n91,0\n92,0\n93,0\n")
    assert run(monkeypatch, "validate", "old.csv", "--output", "old") == 0
    capsys.readouterr()
    assert run(monkeypatch, "validate", "new.csv", "--baseline", "old/profile.json") == 0
    assert capsys.readouterr().out.splitlines() == [
        "valid: 3 rows",
        "  drift cannot be told of x: there are too few rows",
    ]


def test_a_check_that_reads_all_data_for_each_build_is_a_warning(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = PIPELINE_YAML.replace("max: 100", "max: 100, unique: true")
    (project / "pipeline.yaml").write_text(text)
    (project / "data.csv").write_bytes(b"x,y\n1,0\n")
    assert run(monkeypatch, "validate", "data.csv") == 0
    said = " ".join("".join(capsys.readouterr()).split())
    assert "warning: each build reads the whole data set, not only what is new, for unique of x" in said


def test_where_no_stack_was_asked_for_a_pipeline_it_is_told(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "data.csv").write_bytes(b"x,y\n1,0\n")
    assert run(monkeypatch, "validate", "data.csv", "--alone", "--pipeline", "nowhere") == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "No stack was asked: `sluice up` starts the local cloud." in shown
