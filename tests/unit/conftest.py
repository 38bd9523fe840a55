"""What unit tests share: a complete pipeline.yaml that they vary, an engine at hand, what is done once."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from multiprocessing.process import BaseProcess
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from sluice.domain import config
from sluice.domain.config import PipelineConfig, loading
from sluice.quality import run
from sluice.quality.processes import Tell
from sluice.services import side_by_side

if TYPE_CHECKING:
    from one_database import OneDatabase

TEXT = """\
name: reviews-sentiment
framework: {name: scikit-learn, version: "1.4-2"}
data:
  format: csv
  mode: append
  label: sentiment
  complete_when: {quiet_period_s: 2}
  schema:
    id: {type: integer, required: true, unique: true, min: 1, max: 1000}
    review: {type: string, required: true, min_length: 1, max_length: 9000}
    sentiment: {type: string, allowed: [great, other]}
    written: {type: timestamp, min: "2000-01-01"}
    score: {type: number, min: 0, max: 5.5}
    code: {type: string, pattern: "[A-Z]{2}"}
    verified: {type: boolean}
  quality:
    - {check: completeness, column: review, min: 0.99}
    - {check: row_count, min: 100}
prepare: {script: src/prepare.py, parameters: {split: [0.8, 0.1, 0.1], seed: 42, name: a b, deep: true}}
train:
  script: src/train.py
  hyperparameters: {epochs: 10, penalty: l2}
  candidates: {space: {alpha: [1e-5, 1e-4]}, objective: "validation:accuracy", max_parallel: 2}
  metrics: [{name: "validation:accuracy", regex: "validation accuracy: ([0-9.]+)"}]
  compute: {instance_type: ml.m5.large, instance_count: 1, volume_gb: 10, max_runtime_s: 600}
evaluate: {script: src/evaluate.py}
gates:
  - metrics.accuracy.value >= 0.70
  - metrics.accuracy.value not_worse_than champion by 0.01
serve: {script: src/inference.py, sample: sample.json, compute: {instance_count: 2}}
register: {group: reviews}
release:
  stages:
    - {name: staging}
    - {name: production, requires_approval: true, traffic: {type: canary, percent: 10, bake_s: 180}}
  alarms: {error_rate: 0.05, p99_latency_ms: 500, min_requests: 10}
retrain: {cooldown_s: 60, daily_budget: 10}
"""


@pytest.fixture(scope="session")
def config_text() -> str:
    return TEXT


@pytest.fixture(scope="session")
def pipeline_config() -> PipelineConfig:
    return config.load(TEXT)


@pytest.fixture(scope="session")
def engine_at_hand() -> None:
    """What a validation's process loads and compiles, done once: a fork has what this process has.

    Else each of some 250 validations would spend most of its time on that.
    """
    import sluice.quality.engine  # noqa: F401
    from sluice.quality.report import html

    html.load()


@pytest.fixture(autouse=True, scope="session")
def read_once() -> Iterator[None]:
    """A text that hundreds of tests push is read once: its config is frozen, and nothing else is in it."""
    with pytest.MonkeyPatch.context() as patched:
        for module, name in ((loading, "load"), (config, "restore")):
            patched.setattr(module, name, lru_cache(maxsize=64)(getattr(module, name)))
        yield


_IN_THREADS = side_by_side._in_threads


@pytest.fixture(autouse=True, scope="session")
def one_after_another() -> Iterator[None]:
    """Fakes answer at once: a thread for each request of a handler takes longer than all that they answer."""

    def in_turn(items: Sequence[Any], act: Callable[[Any], Any]) -> list[Any]:
        return [act(item) for item in items]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(side_by_side, "_in_threads", in_turn)
        yield


@pytest.fixture
def in_threads(monkeypatch: pytest.MonkeyPatch, one_after_another: None) -> None:
    """Several requests are made at a time, as they are where they take time."""
    monkeypatch.setattr(side_by_side, "_in_threads", _IN_THREADS)


@pytest.fixture(scope="session")
def one_database(engine_at_hand: None) -> Iterator[OneDatabase]:
    from one_database import OneDatabase

    made = OneDatabase()
    yield made
    made.close()


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch, one_database: OneDatabase) -> None:
    """A validation works in this process; what it tells, answers or raises is pickled, as by a pipe."""
    monkeypatch.setattr(run, "processes", SimpleNamespace(run=_as_through_a_pipe))
    one_database.lend(monkeypatch)


def _as_through_a_pipe(work: Callable[[Tell], Any], **_how: Any) -> Any:
    def passed(said: Any) -> Any:
        return pickle.loads(pickle.dumps(said))  # noqa: S301

    try:
        return passed(work(passed))
    except Exception as error:
        raise passed(error) from error


@pytest.fixture
def judged_once(monkeypatch: pytest.MonkeyPatch, in_this_process: None) -> None:
    """The same data are judged once for all tests, which play the same run over and over."""

    def remembering(judge: Callable[..., Any]) -> Callable[..., Any]:
        def remembered(work: run.Work, **given: Any) -> Any:
            bodies, terms = tuple((each.key, each.path.read_bytes()) for each in work.files), work.terms
            data = terms.data
            # A check of freshness alone asks for the time.
            about = [terms.baseline, terms.now if data.quality else None, [*work.leaf_files], *given.items()]
            asked = (judge, bodies, data.model_dump_json(), *map(repr, about))
            if asked not in _outcomes:
                _outcomes[asked] = judge(work, **given)
            return _outcomes[asked]

        return remembered

    for name in ("validate", "read"):
        monkeypatch.setattr(run, name, remembering(getattr(run, name)))


_outcomes: dict[Any, Any] = {}


@pytest.fixture(autouse=True, scope="session")
def measured_forks() -> Iterator[None]:
    """Where coverage is measured, a process that has answered writes down what it ran before it is ended."""
    kill = BaseProcess.kill

    def kill_later(process: BaseProcess) -> None:
        process.join(2)
        kill(process)

    with pytest.MonkeyPatch.context() as patched:
        if "coverage" in sys.modules and sys.modules["coverage"].Coverage.current():
            patched.setattr(BaseProcess, "kill", kill_later)
        yield
