"""Read the data set of an analysis: what its columns hold, its profile, and its rows as text."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sluice.domain.config.models import Data
from sluice.domain.config.statistics import Bias
from sluice.quality import inference
from sluice.quality.engine import (
    DATA,
    DataFile,
    Engine,
    EngineLimitError,
    UnreadableError,
    inferring,
    profiling,
)
from sluice.quality.engine.sql import identifier
from sluice.quality.inference import ColumnFacts
from sluice.quality.statistics.bias import LabelCount, TooManyValuesError
from sluice.quality.statistics.profiles import Profile

_MEMORY_MB = 1024
# So many rows are asked of a model, or judged with their predictions.
ROWS_MAX = 500_000


class AnalysisError(Exception):
    """The analysis cannot be made; the message is for the job's ExitMessage."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """The files of a data set, and a contract that they keep."""

    files: tuple[DataFile, ...]
    contract: Data
    facts: Mapping[str, ColumnFacts] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return list(self.contract.columns)

    def typed(self, columns: Mapping[str, Mapping[str, Any]]) -> Dataset:
        """Return the same files under a contract with these columns."""
        given = {"format": self.contract.format, "label": "", "schema": columns}
        if self.contract.format == "csv":
            given["csv"] = self.contract.csv.model_dump(mode="json")
        return replace(self, contract=contract_of(given))

    def profile(self) -> Profile:
        """Profile the columns that exist; raises AnalysisError."""
        with self._inspected() as (engine, found):
            types = {name: self.contract.columns[name].type for name in found.columns}
            with engine.guarded() as connection:
                return profiling.profile(connection, DATA, types, rows=found.rows, written=found.written)

    def label_counts(self, label: str, bias: Bias) -> tuple[tuple[LabelCount, ...], ...]:
        """Count rows by facet, label and group, for each facet of the config; raises AnalysisError."""
        with self._inspected() as (engine, found), engine.guarded() as connection:
            types = {name: self.contract.columns[name].type for name in found.columns}
            return profiling.label_counts(connection, DATA, types, label, bias)

    def rows(self) -> dict[str, list[str]]:
        """Return each column's values as text, empty where there is none; raises AnalysisError."""
        with self._inspected() as (engine, found):
            if found.rows > ROWS_MAX:
                raise AnalysisError(f"The data set has {found.rows} rows; at most {ROWS_MAX} are judged.")
            shown = ", ".join(f"coalesce(CAST({identifier(name)} AS VARCHAR), '')" for name in found.columns)
            rows = engine.query(f"SELECT {shown} FROM {DATA}")  # noqa: S608 - names are quoted
            columns = list(zip(*rows, strict=True)) or [()] * len(found.columns)
            return {name: list(values) for name, values in zip(found.columns, columns, strict=True)}

    def greatest(self, column: str) -> Any:
        """Return the greatest value of a column, None if it has none; raises AnalysisError."""
        with self._inspected() as (engine, _):
            ((value,),) = engine.query(f"SELECT max({identifier(column)}) FROM {DATA}")  # noqa: S608 - quoted
            return value

    @contextmanager
    def _inspected(self) -> Iterator[tuple[Engine, Any]]:
        with _errors(), _engine() as engine:
            found = engine.inspect(self.files, self.contract)
            if found.problems:
                raise AnalysisError(f"The data set cannot be read: {found.problems[0].message}")
            yield engine, found


def read(folder: Path, work: Path, names: Sequence[str] | None = None, *, has_header: bool = True) -> Dataset:
    """Read the files below a folder, or a file; raises AnalysisError.

    `names` are those of columns that files do not name. Without names nor header they are `_c0`, `_c1`, ...
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else [folder]
    if not paths or not paths[0].exists():
        raise AnalysisError(f"There is no data set at {folder}.")
    if names is not None or not has_header:
        paths = [_named(path, work / f"named-{number}.csv", names) for number, path in enumerate(paths)]
    files = tuple(DataFile(path.name, path) for path in paths)
    with _errors():
        found = [_infer(file) for file in files]
    of_files = [{facts.name: facts for facts in each.columns} for each in found]
    all_names = dict.fromkeys(name for columns in of_files for name in columns)
    facts = {
        name: _together([columns[name] for columns in of_files if name in columns]) for name in all_names
    }
    first = found[0]
    contract = contract_of(
        {
            "format": first.format,
            "label": "",
            "schema": inference.schema(list(facts.values())),
            **({"csv": dict(first.csv)} if first.csv else {}),
        }
    )
    return Dataset(files, contract, facts)


def contract_of(stated: Mapping[str, Any]) -> Data:
    """Return a contract of what pipeline.yaml would say."""
    return Data.model_validate_json(json.dumps(stated))


def _infer(file: DataFile) -> inferring.Found:
    with _engine() as engine:
        return inferring.infer(engine, file)


def _together(facts: Sequence[ColumnFacts]) -> ColumnFacts:
    """Return the facts about a column of all files."""
    present = [each for each in facts if each.rows > each.missing] or list(facts)
    types = frozenset.intersection(*(each.types for each in present))
    values = tuple(sorted({value for each in present for value in each.values}))
    return replace(
        facts[0],
        rows=sum(each.rows for each in facts),
        missing=sum(each.missing for each in facts),
        types=types,
        distinct=max(len(values), *(each.distinct for each in facts)),
        values=values if all(each.values for each in present) else (),
    )


def _named(path: Path, target: Path, names: Sequence[str] | None) -> Path:
    """Copy a CSV file with a line of names before its rows, unless it has just that."""
    with (
        path.open(encoding="utf-8", newline="") as source,
        target.open("w", encoding="utf-8", newline="") as copy,
    ):
        first = source.readline()
        given = names or [f"_c{position}" for position in range(len(first.rstrip("\r\n").split(",")))]
        header = ",".join(given)
        copy.write(f"{header}\n")
        rest = itertools.chain([] if first.strip() == header else [first], source)
        copy.writelines(rest)
    return target


@contextmanager
def _engine() -> Iterator[Engine]:
    with tempfile.TemporaryDirectory() as folder, Engine(_MEMORY_MB, Path(folder) / "spill") as engine:
        yield engine


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except (UnreadableError, EngineLimitError, TooManyValuesError) as error:
        raise AnalysisError(f"The data set cannot be analyzed: {error}") from error
