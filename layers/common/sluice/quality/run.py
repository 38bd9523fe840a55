"""Validate files by a data contract, for the function and `sluice validate`."""

from __future__ import annotations

import gzip
import math
import signal
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import cache, partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sluice import lazy
from sluice.domain.config.models import Data
from sluice.lazy import dataclass
from sluice.quality import judging, processes, shortages, validation
from sluice.quality.judging import Baseline, Terms
from sluice.quality.part_results import (
    NeedsWholeError,
    PartFormatError,
    PartResults,
    contract_digest,
    merge,
)
from sluice.quality.processes import ProcessEndedError, Tell
from sluice.quality.report import html, monitor_files, redaction
from sluice.quality.statistics import bias as biases
from sluice.quality.statistics import column_parts
from sluice.quality.statistics.bias import BiasResult
from sluice.quality.statistics.drift import DriftResult
from sluice.quality.statistics.profiles import PROFILE
from sluice.quality.validation import DataFile, Report, Violation

if TYPE_CHECKING:
    from sluice.quality.engine import Engine, Inspection

_KEYS_SHOWN = 5
# Shares of a function's memory: for what the engine counts, which is not all, and for its process.
_ENGINE_SHARE, _PROCESS_SHARE = 0.6, 0.8
# The engine stops a little before its process would be ended.
_EARLIER_S, _EARLIER_SHARE = 5.0, 0.1
# The share of the time that may be over when one more leaf's results are collected for later.
_LEAVES_SHARE = 0.8
# More effort does not make hashes smaller.
_LEVEL = 1
REPORT, REPORT_PAGE = "report.json", "report.html"
_COMPILED = ("sluice.quality", "sluice.domain.config.checks")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a validation may use: memory, time, and a folder to spill to.

    `memory_mb` is what the engine may count; `process_mb` is all that its process may hold.
    """

    memory_mb: int
    max_s: float | None
    folder: Path
    process_mb: float | None = None

    @classmethod
    def of_function(cls, memory_mb: int, max_s: float | None, folder: Path) -> Limits:
        """Return the limits in a function of so much memory: the waiting process needs the rest."""
        return cls(int(memory_mb * _ENGINE_SHARE), max_s, folder, memory_mb * _PROCESS_SHARE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict, and its documents by file name.

    `part` has the results, for later data that contain all of these; None if they cannot be kept. `own` has
    those of the files that were read alone, and `leaf_parts` those of each of their leaves, as far as there
    was time. `object_rows` are the rows of the objects that were read, by key.
    """

    report: Report
    documents: Mapping[str, bytes]
    part: bytes | None = None
    own: bytes | None = None
    leaf_parts: tuple[bytes, ...] = ()
    object_rows: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found in each leaf of some files of a data set, or `beyond`, which limits they exceed."""

    leaf_parts: tuple[bytes, ...] = ()
    beyond: Violation | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What a process of its own reads: files of a data set, by which terms, within which limits.

    `leaf_files` says how many of the files, in their order, each leaf has, whose results are to be kept by
    themselves; without it all files are one leaf.
    """

    files: Sequence[DataFile]
    terms: Terms
    limits: Limits
    leaf_files: Sequence[int] = ()


def validate(
    work: Work,
    *,
    title: str,
    former: bytes | None = None,
    keeps_part: bool = False,
    keeps_edges: bool = False,
) -> Outcome:
    """Check the files by the contract. Files that exceed the limits break it: see `refuse`.

    `former` is the `part` kept of other files: then the verdict is about all files, but only these are read;
    raises NeedsWholeError if that does not suffice. With `keeps_edges`, for data that are too many to be read
    at once, numbers are counted on between quantiles of other data, however many have come. The engine works
    in a separate process, as it neither counts all its memory nor always ends when asked.
    """
    judge = partial(_judge, work, title=title, former=former, keeps_part=keeps_part, keeps_edges=keeps_edges)
    try:
        return _apart(judge, work.limits)
    except ProcessEndedError as ended:
        return refuse([beyond_limits(*_blame(ended, work.limits))], work.terms.data, title)


def read(work: Work, *, edged: PartResults | None, keeps_edges: bool = False) -> Reading:
    """Read some files of a data set, to be judged with the others' results: see `conclude`.

    Numbers are counted between the edges of `edged`, and the baseline's; without it between quantiles of
    these files, as with `keeps_edges` those of columns that it has no edges of. Raises NeedsWholeError for
    results that do not add up. Like `validate` it works in a separate process.
    """
    try:
        return _apart(partial(_read, work, edged=edged, keeps_edges=keeps_edges), work.limits)
    except ProcessEndedError as ended:
        return Reading(beyond=beyond_limits(*_blame(ended, work.limits)))


def conclude(parts: Sequence[PartResults], terms: Terms, *, title: str, keeps_edges: bool = False) -> Outcome:
    """Judge data by the results of their parts, at least one, without reading any; raises NeedsWholeError.

    With `keeps_edges`, for data that are too many to be read at once, a column that cannot be counted as its
    baseline's is not compared with that.
    """
    judged = judging.of_parts(_sum(parts, terms.data), None, terms, omits=keeps_edges)
    return _outcome(judged, terms, title)


def parsed(part: bytes, data: Data) -> PartResults | None:
    """Parse stored results; None if they are of another format, contract or engine."""
    try:
        return PartResults.from_json(part, parts_contract(data))
    except PartFormatError:
        return None


def parsed_leaf(leaf: bytes, data: Data) -> PartResults | None:
    """Parse the stored results of a leaf, which have the rows of each of its objects; None as `parsed`."""
    try:
        return parsed(gzip.decompress(leaf), data)
    except (EOFError, OSError, zlib.error):
        return None


def added_up(parts: Sequence[PartResults], data: Data) -> bytes:
    """Add up the results of parts, at least one, as they are stored; raises NeedsWholeError."""
    return _sum([part.lean for part in parts], data).to_json()


def leaf_of(parts: Sequence[PartResults], data: Data) -> bytes:
    """Add up the results of a leaf's pieces, at least one, as they are stored; raises NeedsWholeError."""
    return _zipped(_sum(parts, data).to_json(keeps_rows=True))


def _sum(parts: Sequence[PartResults], data: Data) -> PartResults:
    return reduce(partial(merge, asked=validation.checks(data)), parts)


def parts_contract(data: Data) -> str:
    """Return the digest of what parts that add up have in common."""
    from sluice.quality.engine import VERSION

    return contract_digest(data, VERSION)


def _apart(act: Callable[[Tell], _Result], limits: Limits) -> _Result:
    """Run something in a process of its own."""
    _load()
    return processes.run(act, memory_mb=limits.process_mb, max_s=limits.max_s, meanwhile=_prepare)


def _load() -> None:
    """Load what each forked process needs, once for all: the engine, the report's page.

    DuckDB starts no thread before it is used, so a fork of this process is safe.
    """
    from sluice.quality.engine import part_scan, profiling  # noqa: F401 - large, and only a validation's

    html.load()
    # pydantic puts off what only a digest of the contract needs.
    Data.model_rebuild()


@cache
def _prepare() -> None:
    """Make what the next forked process would have to: its database, and the classes that it needs."""
    from sluice.quality.engine import database

    database.make_spare()
    for package in _COMPILED:
        lazy.compile_all(package)


def _blame(ended: ProcessEndedError, limits: Limits) -> tuple[str, Sequence[str]]:
    """Say why the process was ended, and which objects are to blame, if it was reading them."""
    keys: tuple[str, ...] = ended.told or ()
    match ended.why:
        case "memory":
            return shortages.OUT_OF_MEMORY, keys
        case "signal":
            return shortages.crashed(signal.Signals(ended.signal).name), keys
        case "time":
            max_s = limits.max_s or 0.0
            return shortages.out_of_time(max_s), keys if ended.told_s >= max_s / 2 else ()


def _judge(
    work: Work, tell: Tell, *, title: str, former: bytes | None, keeps_part: bool, keeps_edges: bool
) -> Outcome:
    # Import it in the process that needs it: the engine is large.
    from sluice.quality.engine import EngineLimitError

    terms, max_s = work.terms, work.limits.max_s
    before = None if former is None else _former(former, terms.data, keeps_edges=keeps_edges)
    began = time.monotonic()
    try:
        with _engine(work.limits) as engine:
            found = _inspected(engine, work, tell)
            if before is None:
                judged = judging.alone(engine, found, terms, keeps_part=keeps_part)
            else:
                judged = judging.together(engine, found, terms, before, keeps_edges=keeps_edges)
            left_s = (max_s or math.inf) * _LEAVES_SHARE - (time.monotonic() - began)
            kept = tuple(_kept_leaves(engine, judged, terms, len(work.leaf_files), left_s))
    except EngineLimitError as error:
        return refuse([beyond_limits(str(error), error.keys)], terms.data, title)
    outcome = _outcome(judged, terms, title)
    return replace(outcome, leaf_parts=kept, object_rows=dict(found.object_rows))


def _kept_leaves(
    engine: Engine, judged: judging.Judged, terms: Terms, leaf_count: int, left_s: float
) -> Iterator[bytes]:
    """Yield what was found in each leaf, while there is time and nothing keeps it from being stored."""
    from sluice.quality.engine import EngineLimitError

    until = time.monotonic() + left_s
    try:
        if judged.own is not None and leaf_count:
            for part in judging.leaf_parts(engine, judged.own, terms, leaf_count):
                if time.monotonic() > until:
                    return
                yield _stored_leaf(part, terms.data, judged.part)
    except (EngineLimitError, NeedsWholeError):
        return


def _engine(limits: Limits) -> Engine:
    from sluice.quality.engine import Engine

    max_s = limits.max_s and limits.max_s - min(_EARLIER_S, limits.max_s * _EARLIER_SHARE)
    return Engine(limits.memory_mb, limits.folder / "spill", max_s=max_s)


def _inspected(engine: Engine, work: Work, tell: Tell) -> Inspection:
    return engine.inspect(
        work.files, work.terms.data, now=work.terms.now, tell=tell, leaf_files=work.leaf_files
    )


def _outcome(judged: judging.Judged, terms: Terms, title: str) -> Outcome:
    """Make the report and the documents of what was found."""
    measured, data, baseline = judged.measured, terms.data, terms.baseline
    report = validation.report(
        judged.rows,
        judged.findings,
        (*judged.problems, *measured.problems),
        object_rows=judged.object_rows,
        previous_rows=baseline.previous_rows,
        now=terms.now,
        redact=data.redact,
    )
    report = report.with_violations((*_drifted(measured.drift), *_biased(measured.bias)))
    report = replace(report, untold=measured.drift.untold if measured.drift else ())
    documents = dict(_documents(report, measured, data, baseline, title))
    return Outcome(report, documents, _kept(judged.part, data), _kept(judged.own, data, judged.part))


def _read(work: Work, tell: Tell, *, edged: PartResults | None, keeps_edges: bool) -> Reading:
    from sluice.quality.engine import EngineLimitError

    terms, leaf_count = work.terms, len(work.leaf_files) or 1
    try:
        with _engine(work.limits) as engine:
            found = _inspected(engine, work, tell)
            parts = judging.edged_parts(
                engine, found, terms, edged, keeps_edges=keeps_edges, leaf_count=leaf_count
            )
            return Reading(tuple(_stored_leaf(part, terms.data, edged) for part in parts))
    except EngineLimitError as error:
        return Reading(beyond=beyond_limits(str(error), error.keys))
    except biases.TooManyValuesError as error:
        raise NeedsWholeError(str(error)) from None


def _former(stored: bytes, data: Data, *, keeps_edges: bool) -> PartResults:
    try:
        former = PartResults.from_json(stored, parts_contract(data))
    except PartFormatError as error:
        raise NeedsWholeError(f"what was found before {error}") from None
    if former.is_outgrown and not keeps_edges:
        raise NeedsWholeError("the data have doubled since their quantiles were taken")
    return former


def _kept(part: PartResults | None, data: Data, of: PartResults | None = None) -> bytes | None:
    """Return the results to store; None if they cannot be: then the next validation reads all data."""
    try:
        return None if part is None else _without_text(part, data, of).to_json()
    except NeedsWholeError:
        return None


def _stored_leaf(part: PartResults, data: Data, of: PartResults | None) -> bytes:
    """Return a leaf's results to store, as they are `of` more data; raises NeedsWholeError."""
    return _zipped(_without_text(part, data, of).to_json(keeps_rows=True))


def _zipped(leaf: bytes) -> bytes:
    """Compress a leaf's results: there are some forty of each segment."""
    return gzip.compress(leaf, _LEVEL, mtime=0)


def _without_text(part: PartResults, data: Data, of: PartResults | None) -> PartResults:
    """Remove text of redacted columns."""
    more = of.columns if of is not None else {}
    columns = {
        name: column_parts.without_text(column, more.get(name)) if name in data.redact else column
        for name, column in part.columns.items()
    }
    return replace(part, columns=columns)


def beyond_limits(message: str, keys: Sequence[str]) -> Violation:
    """Make the violation of objects beyond limits; without objects if only all together are."""
    said = f"{', '.join(keys[:_KEYS_SHOWN])}: {message}" if keys else message
    return Violation(None, "limits", said, 0, objects=tuple(keys))


def refuse(violations: Sequence[Violation], data: Data, title: str) -> Outcome:
    """Make the outcome for data beyond limits: reject them, or they would be tried for ever."""
    report = Report(0, tuple(violations))
    documents = dict(_documents(report, judging.Statistics(), data, Baseline(), title))
    return Outcome(report, documents)


def _drifted(drift: DriftResult | None) -> list[Violation]:
    if drift is None:
        return []
    return [
        Violation(column.column, "drift", reason, 0, severity=drift.severity)
        for column in drift.columns
        for reason in column.reasons
    ]


def _biased(bias: BiasResult | None) -> list[Violation]:
    if bias is None:
        return []
    return [
        *(Violation(None, "bias", reason, 0, severity=bias.severity) for reason in bias.reasons),
        *(Violation(None, "bias", warning, 0, severity="warn") for warning in bias.warnings),
    ]


def _documents(
    report: Report, measured: judging.Statistics, data: Data, baseline: Baseline, title: str
) -> Iterator[tuple[str, bytes]]:
    """Yield the reports for programs and people, the profile, and Model Monitor's files."""
    profile, drift, bias = measured.profile, measured.drift, measured.bias
    yield REPORT, report.to_json(drift=drift and drift.to_dict(), bias=bias and bias.to_dict())
    page = html.render(report, profile, baseline.profile, drift, bias, redact=data.redact, title=title)
    yield REPORT_PAGE, page.encode()
    yield "constraint_violations.json", monitor_files.violations(report.violations, drift)
    if profile is not None:
        yield PROFILE, profile.to_json()
        shown = redaction.redact_profile(profile, data.redact)
        yield "statistics.json", monitor_files.statistics(shown)
        yield "constraints.json", monitor_files.constraints(shown, data)
