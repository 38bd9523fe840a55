"""Measure an execution of examples/sdk-pipeline beside its floor: the same scripts as plain subprocesses.

Each execution is followed by one of the plain scripts, and ratios are of such pairs: on a busy machine both
wait alike. Plain scripts get an /opt/ml of their own by `unshare`, so this needs Linux, and root.

.venv/bin/python benchmarks/pipelines.py [--quick] [--json FILE]
"""

from __future__ import annotations

import io
import json
import os
import shutil
import statistics
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figures import Figure, arguments, report
from processors import children_cpu_s, tree_cpu_s
from sluice_local.cloud import LocalCloud
from sluice_local.sagemaker.containers.images import ImageCache
from sluice_local.settings import REPOSITORY, Settings

EXAMPLE = REPOSITORY / "examples/sdk-pipeline"
SCRIPTS = EXAMPLE / "src"
DATA = REPOSITORY / ".sluice/data/reviews"
PARTS = ("part-1.csv", "part-2.csv")
SPLITS = ("train", "validation", "test")
REGISTRY = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
IMAGE = f"{REGISTRY}/sagemaker-scikit-learn:1.4-2-cpu-py3"
ROLE = "arn:aws:iam::000000000000:role/sagemaker-execution"
BUCKET, PIPELINE = "pipelines-benchmark", "reviews"
PAIRS, PAIRS_QUICK = 7, 3
AIM = 1.3
Spent = tuple[float, float]


def main() -> None:
    options = arguments(__doc__ or "")
    pairs = PAIRS_QUICK if options.quick else PAIRS
    with tempfile.TemporaryDirectory() as folder, LocalCloud(Path(folder) / "cloud") as cloud:
        python = ImageCache(Settings(port=0, state_dir=Path(folder)).image_cache).environment(IMAGE).python
        service = Service(cloud)
        # The first of both pay for what later ones find: bytecode, and files in the system's memory.
        measured = [
            (service.execution(number), plain(Path(folder) / str(number), python))
            for number in range(pairs + 1)
        ][1:]
    report("an execution of examples/sdk-pipeline", figures(measured), options.json, notes(measured))


def figures(measured: list[tuple[Spent, Spent]]) -> list[Figure]:
    found = []
    for at, what in enumerate(("clock", "processor")):
        execution, scripts = ([pair[side][at] for pair in measured] for side in (0, 1))
        ratios = [mine / theirs for mine, theirs in zip(execution, scripts, strict=True)]
        found += [
            Figure(
                f"{what}, median", statistics.median(execution), "s", statistics.median(scripts), "s plain"
            ),
            Figure(f"{what}, ratio of a pair, median (aim {AIM})", statistics.median(ratios), ""),
            Figure(f"{what}, ratio of a pair, least", min(ratios), ""),
            Figure(f"{what}, ratio of a pair, greatest", max(ratios), ""),
        ]
    return found


def notes(measured: list[tuple[Spent, Spent]]) -> list[str]:
    load = os.getloadavg()[0]
    return [
        f"{len(measured)} pairs; load of the machine at the end: {load:.1f} on {os.cpu_count()} processors."
    ]


@dataclass(frozen=True)
class Service:
    """A local cloud with the pipeline, its scripts and its data."""

    cloud: LocalCloud

    def __post_init__(self) -> None:
        self.cloud.client("s3").create_bucket(Bucket=BUCKET)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for path in SCRIPTS.glob("*.py"):
                archive.add(path, path.name)
                self._put(f"code/{path.name}", path.read_bytes())
        self._put("source.tar.gz", packed.getvalue())
        for name in PARTS:
            self._put(f"raw/{name}", (DATA / name).read_bytes())
        self._put("files.manifest", json.dumps([{"prefix": f"s3://{BUCKET}/raw/"}, *PARTS]).encode())
        self.cloud.client("sagemaker").create_pipeline(
            PipelineName=PIPELINE, PipelineDefinition=(EXAMPLE / "pipeline.json").read_text(), RoleArn=ROLE
        )

    def _put(self, key: str, body: bytes) -> None:
        self.cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)

    def execution(self, number: int) -> Spent:
        """Run the pipeline to its end; returns seconds by the clock, and those of the cloud's processes."""
        given = {
            "InputManifest": f"s3://{BUCKET}/files.manifest",
            "CodeUri": f"s3://{BUCKET}/code/",
            "SourceUri": f"s3://{BUCKET}/source.tar.gz",
            "OutputUri": f"s3://{BUCKET}/out/{number}",
            "RoleArn": ROLE,
            "ImageUri": IMAGE,
            "ModelPackageGroupName": PIPELINE,
        }
        sagemaker = self.cloud.client("sagemaker")
        parameters = [{"Name": name, "Value": value} for name, value in given.items()]

        def ended() -> dict[str, Any]:
            asked = {"PipelineName": PIPELINE, "PipelineParameters": parameters}
            arn = sagemaker.start_pipeline_execution(**asked)["PipelineExecutionArn"]
            while True:
                found: dict[str, Any] = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
                if found["PipelineExecutionStatus"] != "Executing":
                    return found
                time.sleep(0.02)

        spent, described = timed(ended, lambda: tree_cpu_s(self.cloud.pid))
        if described["PipelineExecutionStatus"] != "Succeeded":
            raise SystemExit(f"the execution {described['PipelineExecutionStatus']}: {described}")
        return spent


def plain(work: Path, python: Path) -> Spent:
    """Run the scripts as subprocesses that hand on files; returns seconds by clock and by processor."""
    return timed(lambda: _scripts(work, python), children_cpu_s)[0]


def timed(work: Callable[[], Any], cpu_s: Callable[[], float]) -> tuple[Spent, Any]:
    began, spent = time.perf_counter(), cpu_s()
    result = work()
    return (time.perf_counter() - began, cpu_s() - spent), result


def _scripts(work: Path, python: Path) -> None:
    def started(ml: Path, script: str, **variables: str) -> subprocess.Popen[bytes]:
        mapped = f'mount --bind {ml} /opt/ml && exec "$0" "$1"'
        command = ["unshare", "-m", "sh", "-c", mapped, str(python), str(SCRIPTS / script)]
        return subprocess.Popen(command, env={**os.environ, **variables}, stdout=subprocess.DEVNULL)

    Path("/opt/ml").mkdir(exist_ok=True)
    hosts = []
    for number, part in enumerate(PARTS, start=1):
        hosts.append(ml := work / f"algo-{number}")
        given = ml / "processing/input/data"
        given.mkdir(parents=True)
        shutil.copy(DATA / part, given)
        (ml / "config").mkdir()
        (ml / "config/resourceconfig.json").write_text(json.dumps({"current_host": ml.name}))
    _end([started(ml, "prepare.py") for ml in hosts])
    train, evaluate = work / "train", work / "evaluate"
    for split in SPLITS:
        folder = train / "input" / split if split != "test" else evaluate / "processing/input/test"
        folder.mkdir(parents=True)
        for ml in hosts:
            shutil.copytree(ml / "processing/output" / split, folder, dirs_exist_ok=True)
    (train / "model").mkdir()
    channels = {f"SM_CHANNEL_{split.upper()}": f"/opt/ml/input/{split}" for split in SPLITS[:2]}
    _end([started(train, "train.py", SM_MODEL_DIR="/opt/ml/model", **channels)])
    (evaluate / "processing/input/model").mkdir()
    with tarfile.open(evaluate / "processing/input/model/model.tar.gz", "w:gz") as archive:
        archive.add(train / "model/model.joblib", "model.joblib")
    _end([started(evaluate, "evaluate.py")])


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    if any(process.wait() for process in processes):
        raise SystemExit("a plain script failed")


if __name__ == "__main__":
    main()
