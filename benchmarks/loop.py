"""Measure the loop beside its floor, the same scripts as plain processes, and beside orchestrators.

Each run is followed by one of the plain scripts, and ratios are of such pairs: on a busy machine both wait
alike. Seconds of the processor leave out the wait.

The *overhead of a step (of N)* is the time of an execution in which no job is under way, divided by the
number of the steps that the run recorded. Validation, gates and registration are in it, which are work of
Sluice's own. A job is under way from when its function takes it up until its outputs are sent.

What *a step costs more than its script as a plain process* is the difference of a pair's times, shared among
the job steps that follow one another. All that a run does is in it, and what it saves: packages that are
loaded once, not for each step.

What a *job step* takes beyond its script is the time from its state's beginning to its end, as the
execution's history has them, without the time that the script's process was there (`script_s` of its usage).
Of jobs side by side the one that ended last counts. All other states are work of Sluice's own, and each has
a row.

.venv/bin/python benchmarks/loop.py [--quick] [--json FILE]
"""

from __future__ import annotations

import csv
import functools
import io
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from environments import FailedError, interpreter, last_line
from figures import Figure, arguments, report
from processors import children_cpu_s, tree_cpu_s
from sluice.domain import names
from sluice.domain.build import candidates, jobs, projects
from sluice.domain.config import PipelineConfig
from sluice.services.views import costs, stages
from sluice_cli import cloud, log_streams, lookup, project, starting, waiting
from sluice_cli import target as targets
from sluice_cli.target import REPOSITORY, Target
from sluice_local.sagemaker.containers import container
from sluice_local.sagemaker.containers.images import ImageCache
from sluice_local.settings import Settings

EXAMPLE = REPOSITORY / "examples/reviews"
DATA = REPOSITORY / ".sluice/data/reviews"
CONTENDERS = Path(__file__).parent / "contenders/orchestrators"
REPORT = re.compile(r"^REPORT .*?\tDuration: ([\d.]+) ms.*?(?:Init Duration: ([\d.]+) ms)?$")
MEGABYTE = 1e6
JOB_STATES = {"PrepareData", "TrainCandidate", "EvaluateModel"}
# Of names of times: of a job step beyond its script, and of another state.
BEYOND, STATE = "beyond the script: ", "state: "


@dataclass(frozen=True, slots=True)
class Contender:
    """A script of `contenders/orchestrators`, and the environment that it needs besides its own."""

    name: str
    script: str
    environment: str | None = None
    arguments: tuple[str, ...] = ()


PLAIN = Contender("plain scripts", "plain")
ORCHESTRATORS = (
    Contender("Metaflow", "in_metaflow", "metaflow", ("--quiet", "run")),
    Contender("ZenML", "in_zenml", "zenml"),
    Contender("Kedro", "in_kedro", "kedro"),
    Contender("Prefect", "in_prefect", "prefect"),
    Contender("Dagster", "in_dagster", "dagster"),
)


@contextmanager
def deployed_stack(home: Path) -> Iterator[Target]:
    """Start a local cloud and deploy the template to it."""
    os.environ["SLUICE_HOME"] = str(home)
    try:
        ready = cloud.start()
        cloud.build()
        cloud.deploy(ready, stack=targets.DEFAULT_STACK)
        yield targets.resolve(where="local", stack=targets.DEFAULT_STACK, profile=None, region=None)
    finally:
        cloud.stop()


def reviews() -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of the example's data."""
    rows: list[list[str]] = []
    for name in ("part-1.csv", "part-2.csv"):
        with (DATA / name).open(newline="", encoding="utf-8") as file:
            header, *part = csv.reader(file)
            rows += part
    return header, rows


def write_parts(folder: Path, count: int) -> list[Path]:
    """Write half of the rows as a first upload, and the rest as `count` more."""
    header, rows = reviews()
    half = len(rows) // 2
    size = -(-half // count)
    chunks = [rows[:half], *(rows[start : start + size] for start in range(half, len(rows), size))]
    paths = []
    for index, chunk in enumerate(chunks):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([header, *chunk])
        path = folder / f"part-{index}.csv"
        path.write_text(text.getvalue(), encoding="utf-8")
        paths.append(path)
    return paths


def timed_run(target: Target, pipeline: str, path: Path) -> dict[str, float]:
    """Upload a file and time the run it starts, quiet period excluded; `cpu_s` are the whole cloud's."""
    quiet_s = load_config().data.complete_when.quiet_period_s
    known, spent = waiting.run_ids(target, pipeline), cloud_cpu_s()
    project.upload(target, pipeline, [path])
    uploaded = time.time()
    run_id = waiting.new_run(target, pipeline, known)
    run = waiting.run_end(target, pipeline, run_id, lambda _doing: None)
    if run["status"] != "registered":
        raise SystemExit(f"{run_id} ended as {run['status']}: {run.get('reasons')}")
    execution = ended_execution(target, run["execution_arn"])
    started, stopped = execution["startDate"].timestamp(), execution["stopDate"].timestamp()
    return {
        "execution_s": stopped - started,
        "cpu_s": cloud_cpu_s() - spent,
        "event_to_start_s": started - uploaded - quiet_s,
        "upload_to_registered_s": stopped - uploaded - quiet_s,
        "no_job_s": stopped - started - critical_path_s(run["steps"]),
        "steps": float(len(run["steps"])),
        **step_times(target, run),
    }


def step_times(target: Target, run: dict[str, Any]) -> dict[str, float]:
    """Return what each job step of an execution cost beyond its script, and what each other state took."""
    scripts = {step["step"]: (step.get("usage") or {}).get("script_s") for step in run["steps"]}
    entered = dict[str, datetime]()
    found, group = dict[str, float](), ""
    for event in history(target, run["execution_arn"]):
        kind = event["type"]
        if kind == "MapStateEntered":
            group = event["stateEnteredEventDetails"]["name"]
        elif kind == "TaskStateEntered":
            details = event["stateEnteredEventDetails"]
            name = json.loads(details["input"]).get("step", details["name"])
            entered[name] = event["timestamp"]
        elif kind == "TaskStateExited":
            details = event["stateExitedEventDetails"]
            output = json.loads(details["output"])
            result = output if "job_name" in output else output.get("prepared", {})
            is_job = details["name"] in JOB_STATES
            name = details["name"] if details["name"] in entered else output["step"]
            took_s = (event["timestamp"] - entered[name]).total_seconds()
            if is_job:
                found[f"{BEYOND}{group or name}"] = took_s - scripts[result["step"]]
            else:
                found[f"{STATE}{name}"] = took_s
                group = ""
    return found


def history(target: Target, execution_arn: str) -> Iterator[dict[str, Any]]:
    pages = target.client("stepfunctions").get_paginator("get_execution_history")
    for page in pages.paginate(executionArn=execution_arn):
        yield from page["events"]


def cloud_cpu_s() -> float:
    """Return the processor seconds of the local cloud: its own, its functions' and their scripts'."""
    pid = targets.local_pid()
    return tree_cpu_s(pid) if pid is not None else 0.0


def ended_execution(target: Target, arn: str) -> dict[str, Any]:
    """Describe an execution, which ends a moment after its last function has recorded the run's end."""

    def look() -> dict[str, Any] | None:
        described: dict[str, Any] = target.call("stepfunctions", "describe_execution", executionArn=arn)
        return described if "stopDate" in described else None

    return waiting.until(look, timeout_s=10, what="the execution to end")


def critical_path_s(steps: list[dict[str, Any]]) -> float:
    """Return the seconds in which at least one of the run's jobs ran a script."""
    spans = sorted(
        (seconds(step["started_at"]), seconds(step["ended_at"])) for step in steps if step.get("job_name")
    )
    total, reached = 0.0, 0.0
    for start, end in spans:
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def seconds(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()


def load_config() -> PipelineConfig:
    return projects.load_project(project.read_folder(EXAMPLE).files).config


@contextmanager
def workshop(files: list[Path]) -> Iterator[Callable[[Contender, Path], float]]:
    """Yield a function that runs a contender on the files, with its Python; it returns the seconds.

    A contender keeps its folders, /opt/ml among them, for its next run: who makes a database does so once.
    """
    config = load_config()
    image = ImageCache(Settings(port=0, state_dir=Path()).image_cache).environment(
        config.training_image_uri("us-east-1"), EXAMPLE / "src/requirements.txt"
    )
    with tempfile.TemporaryDirectory() as folder:

        @functools.cache
        def sandbox_of(contender: Contender) -> container.Sandbox:
            return container.Sandbox.create(Path(folder) / contender.script, image)

        def run(contender: Contender, python: Path) -> float:
            sandbox = sandbox_of(contender)
            for part in ("processing", "candidates", "output"):
                shutil.rmtree(sandbox.ml / part, ignore_errors=True)
            for part in ("input/data", "train", "validation", "test", "evaluation"):
                (sandbox.ml / "processing" / part).mkdir(parents=True)
            for path in files:
                shutil.copy(path, sandbox.ml / "processing/input/data")
            shutil.copytree(EXAMPLE / "src", sandbox.ml / "code", dirs_exist_ok=True)
            shutil.copytree(CONTENDERS, sandbox.ml / "flow", dirs_exist_ok=True)
            variables = sandbox.variables(container.available_cpus())
            command = [str(python), f"/opt/ml/flow/{contender.script}.py", *contender.arguments]
            start = time.perf_counter()
            running = sandbox.start(command, {**variables, **contender_variables(sandbox)}, "/opt/ml/flow")
            output = running.output.read()
            code = running.wait()
            seconds = time.perf_counter() - start
            if code or not (sandbox.ml / "processing/evaluation/evaluation.json").exists():
                raise FailedError(f"failed: {last_line(output.decode(errors='replace'))}")
            return seconds

        yield run


def contender_variables(sandbox: container.Sandbox) -> dict[str, str]:
    """Return the steps to run, and what keeps contenders' files and questions here."""
    config = load_config()
    spec = {
        "python": str(sandbox.python.python),
        "scripts": "/opt/ml/code",
        "prepare_arguments": jobs.container_arguments(config.prepare.parameters),
        "candidates": [
            {name: str(json.loads(value)) for name, value in candidates.of_step(config.train, step).items()}
            for step in (f"{names.TRAIN}{name}" for name in candidates.first(config.train))
        ],
    }
    home = sandbox.directory / "home"
    (home / "dagster").mkdir(exist_ok=True)
    return {
        "LOOP_SPEC": json.dumps(spec),
        "USERNAME": "sluice",
        "DO_NOT_TRACK": "1",
        "ZENML_ANALYTICS_OPT_IN": "false",
        "ZENML_CONFIG_PATH": str(home / "zenml"),
        "DAGSTER_HOME": str(home / "dagster"),
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }


def orchestrator_figures(files: list[Path], repetitions: int, *, may_install: bool) -> list[Figure]:
    """Run the same steps by other orchestrators, each from the start of its process to its end."""
    figures = []
    with workshop(files) as run:
        for contender in ORCHESTRATORS:
            try:
                python = interpreter(contender.environment, may_install=may_install)
                run(contender, python)  # what only the first run needs
                pairs = [(measured(run, contender, python), plain_run(run)) for _ in range(repetitions)]
            except FailedError as error:
                print(f"{contender.name} {error}")
                continue
            theirs, plain = middle(pairs, 0), middle(pairs, 1)
            name = f"{contender.name}, the same steps"
            figures.append(Figure(name, theirs[0], "s", plain[0], "s plain scripts"))
            figures.append(Figure(f"{name}: processor", theirs[1], "s", plain[1], "s plain scripts"))
    return figures


Run = Callable[[Contender, Path], float]
Pair = tuple[tuple[float, float], tuple[float, float]]


def measured(run: Run, contender: Contender, python: Path) -> tuple[float, float]:
    """Return the seconds of a contender's run, and the processor's."""
    before = children_cpu_s()
    seconds = run(contender, python)
    return seconds, children_cpu_s() - before


def plain_run(run: Run) -> tuple[float, float]:
    return measured(run, PLAIN, Path(sys.executable))


def middle(pairs: list[Pair], index: int) -> tuple[float, float]:
    """Return the times of the pair whose ratio is the median one."""
    ordered = sorted(pairs, key=lambda pair: pair[0][0] / pair[1][0])
    return ordered[len(ordered) // 2][index]


def loop_figures(target: Target, folder: Path, repetitions: int) -> list[Figure]:
    """Measure latency, overhead and the whole beside the plain loop."""
    pipeline = project.push(target, EXAMPLE)["pipeline"]
    first, *parts = write_parts(folder, repetitions)
    timed_run(target, pipeline, first)
    runs, plain = [], []
    for index, path in enumerate(parts):
        runs.append(timed_run(target, pipeline, path))
        with workshop([first, *parts[: index + 1]]) as run:
            plain.append(plain_run(run))

    def median(name: str) -> float:
        return statistics.median(run[name] for run in runs)

    def beside(title: str, name: str, floor: int = 0) -> Figure:
        """Return the upload whose ratio to the plain scripts after it is the median one."""
        pairs = sorted(
            ((run[name], each[floor]) for run, each in zip(runs, plain, strict=True)),
            key=lambda pair: pair[0] / pair[1],
        )
        value, peer = pairs[len(pairs) // 2]
        return Figure(title, value, "s", peer, "s plain scripts")

    def more_than_plain(title: str, name: str, floor: int = 0) -> Figure:
        """Return what a step costs more than its script as a plain process."""
        more = (
            (run[name] - each[floor]) / sum(state.startswith(BEYOND) for state in run)
            for run, each in zip(runs, plain, strict=True)
        )
        return Figure(title, statistics.median(more), "s")

    beyond = [value for run in runs for name, value in run.items() if name.startswith(BEYOND)]
    steps = median("steps")

    return [
        Figure("event to execution start", median("event_to_start_s"), "s"),
        Figure(f"overhead of a step (of {steps:.0f})", median("no_job_s") / steps, "s"),
        more_than_plain("a step more than its script as a plain process", "execution_s"),
        more_than_plain("a step more than its script as a plain process: processor", "cpu_s", 1),
        Figure("a job step beyond its script", statistics.median(beyond), "s"),
        *(Figure(name, median(name), "s") for name in runs[0] if name.startswith((BEYOND, STATE))),
        Figure("time with no job under way", median("no_job_s"), "s"),
        beside("upload to registered", "upload_to_registered_s"),
        beside("the run alone", "execution_s"),
        beside("upload to registered: processor", "cpu_s", 1),
        *backend_figures(target, pipeline, repetitions),
    ]


def backend_figures(target: Target, pipeline: str, repetitions: int) -> list[Figure]:
    """Compare the same run on both backends. Here SageMaker's jobs start at once."""
    on = {
        backend: [run_by_hand(target, pipeline, backend) for _ in range(repetitions)]
        for backend in ("lambda", "sagemaker")
    }
    took = {backend: statistics.median(run[0] for run in runs) for backend, runs in on.items()}
    cents = {backend: 100 * statistics.median(run[1] for run in runs) for backend, runs in on.items()}
    return [
        Figure("a run, its jobs on Lambda", took["lambda"], "s", took["sagemaker"], "s on SageMaker"),
        Figure("its list price", cents["lambda"], "cents", cents["sagemaker"], "cents on SageMaker"),
    ]


def run_by_hand(target: Target, pipeline: str, backend: str) -> tuple[float, float]:
    """Run all steps anew on a backend; returns the seconds of its execution, and dollars at list prices."""
    overrides = {f"{step}.compute.backend": backend for step in ("prepare", "train", "evaluate")}
    wanted = starting.wish(target, pipeline, overrides=overrides, is_uncached=True)
    run_id = starting.ask(target, wanted, waits=True, say=lambda _doing: None)
    run = waiting.run_end(target, pipeline, run_id, lambda _doing: None)
    execution = ended_execution(target, run["execution_arn"])
    cost = costs.run_cost(target.cloud, run_id) or {}
    return (execution["stopDate"] - execution["startDate"]).total_seconds(), cost["usd"]


def release_once(target: Target, pipeline: str) -> None:
    """Approve the newest version, let its alarm fire and reconcile, so that every function has run."""
    known = waiting.release_ids(target, pipeline)
    target.call(
        "sagemaker",
        "update_model_package",
        ModelPackageArn=lookup.model_arn(target, pipeline),
        ModelApprovalStatus="Approved",
    )
    waiting.release_end(target, pipeline, known, lambda _doing: None)
    (stage,) = stages.stages(target.cloud, pipeline)
    for alarm in stages.alarms(target.cloud, pipeline, stage["stage"], stage["endpoint_name"]):
        target.call(
            "cloudwatch",
            "set_alarm_state",
            AlarmName=alarm["alarm"],
            StateValue="ALARM",
            StateReason="a drill",
        )
    target.call(
        "lambda", "invoke", FunctionName=log_streams.physical_id(target, "ReconcileFunction"), Payload=b"{}"
    )
    waiting.until(
        lambda: any(map(REPORT.match, log_streams.function_log(target, "react_to_alarm"))) or None,
        timeout_s=30,
        what="react_to_alarm to run",
    )


def function_figures(target: Target) -> list[Figure]:
    """Measure each function's size with its layers, and its times as the platform reports them."""
    figures = [Figure("python alone", interpreter_ms(), "ms")]
    folders = {path.parent.name for path in REPOSITORY.glob("functions/*/app.py")}
    # One folder is three functions, whose calls are as long as jobs; of the example all fit the smallest.
    for name in sorted((folders - {"run_job"}) | {"run_job_small"}):
        reports = [match for line in log_streams.function_log(target, name) if (match := REPORT.match(line))]
        times = {
            "cold init": [float(match[2]) for match in reports if match[2]],
            "first call": [float(match[1]) for match in reports if match[2]],
            "warm call": [float(match[1]) for match in reports if not match[2]],
        }
        figures.append(Figure(f"{name} size", unzipped_bytes(target, name) / MEGABYTE, "MB"))
        figures += [
            Figure(f"{name} {what}", statistics.median(values), "ms")
            for what, values in times.items()
            if values
        ]
    return figures


def interpreter_ms() -> float:
    """Measure the floor of a cold start: the interpreter alone."""
    python = REPOSITORY / ".venv/envs/lambda/bin/python"
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([python, "-c", "pass"], check=True)
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def unzipped_bytes(target: Target, function: str) -> int:
    """Return the size of a built function's and its layers' files."""
    resource = "".join(part.capitalize() for part in function.split("_")) + "Function"
    configuration = target.call(
        "lambda", "get_function_configuration", FunctionName=log_streams.physical_id(target, resource)
    )
    layers = [layer["Arn"].split(":")[6] for layer in configuration.get("Layers", [])]
    logical = {"DataLayer" if "data" in name.lower() else "CommonLayer" for name in layers}
    folders = [cloud.BUILD_DIR / resource, *(cloud.BUILD_DIR / name for name in logical)]
    return sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())


def main() -> None:
    options = arguments(__doc__ or "")
    with tempfile.TemporaryDirectory() as folder, deployed_stack(Path(folder)) as target:
        figures = loop_figures(target, Path(folder), repetitions=2 if options.quick else 5)
        release_once(target, load_config().name)
        figures += function_figures(target)
    with tempfile.TemporaryDirectory() as folder:
        first, *parts = write_parts(Path(folder), 1)
        repetitions = 1 if options.quick else 5
        figures += orchestrator_figures([first, *parts], repetitions, may_install=not options.quick)
    report("The loop on the local cloud", figures, options.json)


if __name__ == "__main__":
    main()
