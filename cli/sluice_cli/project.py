"""Push a project folder, upload data, and copy an example."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from boto3.s3.transfer import TransferConfig

from sluice.catalog import keys
from sluice.catalog.records import builds
from sluice.domain import digests, names, prices
from sluice.domain.build import projects, sources
from sluice.domain.build.projects import LeftOut, Project
from sluice.domain.build.sources import Source
from sluice.domain.config import PipelineConfig, gate_rules
from sluice.domain.release import alarms
from sluice.services import building
from sluice.services.release import guarding
from sluice_cli import git, local_images, next_builds, scripts, uploads
from sluice_cli.errors import EXIT_USAGE, CommandError, unknown
from sluice_cli.target import REPOSITORY, Target

Say = Callable[[str], None]
EXAMPLES = REPOSITORY / "examples"
# Where each service looks for a workflow; below `ci` there is one for each.
WORKFLOWS = {"github": Path(".github/workflows/sluice.yaml")}
POLL_S = 0.2
LEFT_OUT_SHOWN = 6
NEW_STACK_ATTEMPTS = 7
NEW_STACK_ATTEMPT_S = 90


@dataclass(frozen=True, slots=True)
class Folder:
    """A project folder's files by relative path, and what a push leaves out, with the number of files."""

    files: dict[str, bytes]
    left_out: Mapping[LeftOut, int]


def read_folder(folder: Path) -> Folder:
    """Read the files of a folder that a push uploads; raises CommandError, or ProjectError if too large."""
    if not folder.is_dir():
        raise CommandError(
            f"{folder} is no folder", hint="Push the folder with pipeline.yaml.", exit_code=EXIT_USAGE
        )
    if not (folder / "pipeline.yaml").is_file():
        raise CommandError(
            f"{folder} has no pipeline.yaml",
            hint="Push the folder that holds it, or start from an example: `sluice init my-model`.",
            exit_code=EXIT_USAGE,
        )
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    links = [name for name, path in found.items() if path.is_symlink()]
    plain = [name for name, path in found.items() if name not in set(links) and path.is_file()]
    left_out = {**projects.left_out(plain), **{name: LeftOut(name, "a link") for name in links}}
    kept = {name: found[name] for name in plain if name not in left_out}
    # Check before reading: a forgotten data set may be larger than memory.
    projects.check_sizes({name: path.stat().st_size for name, path in kept.items()})
    return Folder({name: path.read_bytes() for name, path in kept.items()}, Counter(left_out.values()))


def said(left_out: Mapping[LeftOut, int]) -> str:
    """Name what is left out in one line, largest number of files first."""
    ranked = sorted(left_out.items(), key=lambda item: (-item[1], item[0].what))
    shown = [
        f"{each.what} ({each.why}{f', {files} files' if files > 1 else ''})"
        for each, files in ranked[:LEFT_OUT_SHOWN]
    ]
    more = len(ranked) - len(shown)
    return ", ".join([*shown, *([f"and {more} more"] if more else [])])


def unpriced(config: PipelineConfig) -> list[str]:
    """Name the instance types without a list price: typing errors, or types whose costs are unknown."""
    from sluice.domain.build import costs

    types = {step: compute.instance_type for step, compute in config.computes.items()}
    return [
        f"{step}.compute.instance_type: what runs cost is unknown, as there is {costs.no_price(given)}"
        for step, given in types.items()
        if given not in prices.INSTANCE_HOUR
    ]


def push(
    target: Target,
    folder: Path,
    say: Say = lambda _: None,
    *,
    replace_champion: bool = False,
    python: str | None = None,
    timeout_s: float = 120,
) -> dict[str, Any]:
    """Upload the folder as a bundle and wait until the stack accepts or refuses it.

    EventBridge may take minutes to act on the rules of a new stack and loses events until then. There a push
    waits longer, says so, and uploads again.
    """
    read = read_folder(folder)
    if read.left_out:
        say(f"left out: {said(read.left_out)}")
    project = _load(target, folder, read.files, python)
    source = git.source(folder, read.files)
    result = {
        "pipeline": project.config.name,
        "project_version": project.version,
        "source": source.attributes,
        "left_out": [{**asdict(each), "files": files} for each, files in read.left_out.items()],
        "warnings": [*_warnings(target, project), *scripts.check(target, project)],
    }
    is_unchanged = _is_current(target, project, source) and not replace_champion
    if not is_unchanged:
        caller = target.call("sts", "get_caller_identity")["Arn"]
        metadata = {sources.SOURCE: source.encode(), projects.PUSHED_BY: caller}
        if replace_champion:
            metadata[projects.REPLACE_CHAMPION] = caller
        _register(target, project, metadata, say, timeout_s)
    return {**result, "unchanged": is_unchanged, "build": next_builds.after_push(target, project.config.name)}


def _load(target: Target, folder: Path, files: Mapping[str, bytes], python: str | None) -> Project:
    """Return the project that files are, with the definition of its pipeline of SageMaker if it has one."""
    if b"build" in files[projects.CONFIG_FILE]:
        # Few projects name a pipeline of SageMaker.
        from sluice_cli import sdk_definition

        files = sdk_definition.completed(target, folder, files, python)
    project = projects.load_project(files)
    local_images.require(target, project.config, project.definition)
    return project


def _warnings(target: Target, project: Project) -> list[str]:
    """Return what pipeline.yaml leads to that a person may not expect."""
    # Import it here: no other command needs it.
    from sluice.quality import part_results

    config = project.config
    return [
        # A stage that scores batches has no endpoint to guard.
        *([] if config.serve.compute.batch else alarms.unseen_bakes(config.release)),
        *guarding.warnings(target.cloud, config.name, config.release),
        *part_results.reading(config.data),
        *unpriced(config),
        *gate_rules.warnings(config),
        *projects.off_lambda(project),
        *scripts.unread_letters(project),
    ]


def _register(target: Target, project: Project, metadata: dict[str, str], say: Say, timeout_s: float) -> None:
    """Upload the bundle until the stack has registered it; raises CommandError."""
    attempts = 1
    if target.is_new:
        say("waiting: the stack is new: EventBridge may take five minutes to act on its rules")
        attempts, timeout_s = NEW_STACK_ATTEMPTS, NEW_STACK_ATTEMPT_S
    bundles = list[str]()
    for _ in range(attempts):
        bundles.append(_upload_bundle(target, project, metadata))
        if _becomes_registered(target, project, bundles, timeout_s):
            return
    raise CommandError(
        f"the bundle was uploaded, but the stack did not register it within {attempts * timeout_s:.0f} s",
        hint="`sluice logs --function register_project` shows why; the upload is kept: push again.",
    )


def _upload_bundle(target: Target, project: Project, metadata: Mapping[str, str]) -> str:
    answer = target.call(
        "s3",
        "put_object",
        Bucket=target.outputs["ArtifactBucketName"],
        Key=f"projects/{project.config.name}/{project.version}.tar.gz",
        Body=projects.pack(project.files),
        ContentType="application/gzip",
        Metadata=metadata,
    )
    return str(answer.get("VersionId", "null"))


def _is_current(target: Target, project: Project, source: Source) -> bool:
    """Tell whether this is the pipeline's current project, and the push knows no more of its commit."""
    pipeline = project.config.name
    state = building.find_pipeline(target.cloud, pipeline)
    if state is None or state.project_version != project.version:
        return False
    known = _find(target, project)
    return not sources.improves(source, (known.source if known else None) or {})


def _find(target: Target, project: Project) -> builds.Project | None:
    item = target.catalog.get(keys.project_key(project.config.name, project.version))
    return builds.Project.of(item) if item else None


def _becomes_registered(target: Target, project: Project, bundles: Collection[str], timeout_s: float) -> bool:
    """Look until one of the uploads is accepted, or the time is over; once, however late it is."""
    deadline = time.monotonic() + timeout_s
    while not _is_registered(target, project, bundles):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _is_registered(target: Target, project: Project, bundles: Collection[str]) -> bool:
    """Tell whether one of the uploads was accepted; raises CommandError if one was refused."""
    known = _find(target, project)
    if known is None or known.bundle_version_id not in bundles:
        return False
    if known.status == "refused":
        raise CommandError(f"the project was refused: {'; '.join(known.reasons)}")
    return known.status == "active"


def plan_upload(
    target: Target, pipeline: str, files: list[Path], *, key: str | None = None
) -> dict[str, Any]:
    """Return what an upload would do: `files` in order, each with what becomes of it, and `left_out`."""
    found = uploads.collect(files, key)
    completing = uploads.completing_name(target, pipeline)
    bucket = target.outputs["DataBucketName"]
    planned = []
    for name in uploads.in_order(list(found.files), completing):
        uploads.require_key(f"{pipeline}/{name}")
        size_bytes = found.files[name].stat().st_size
        planned.append(
            {
                "path": str(found.files[name]),
                "uri": f"s3://{bucket}/{pipeline}/{name}",
                "size_bytes": size_bytes,
                **asdict(uploads.fate(pipeline, name, size_bytes, completing)),
            }
        )
    return {"files": planned, "left_out": [asdict(each) for each in found.left_out]}


def upload(
    target: Target, pipeline: str, files: list[Path], *, key: str | None = None
) -> list[dict[str, Any]]:
    """Upload files, and files of folders, below the pipeline's prefix of the data bucket."""
    return upload_planned(target, plan_upload(target, pipeline, files, key=key))


def upload_planned(target: Target, planned: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Upload what was planned, in its order."""
    bucket = target.outputs["DataBucketName"]
    return [
        {
            "uri": file["uri"],
            "version_id": _upload(
                target, Path(file["path"]), bucket, file["uri"].removeprefix(f"s3://{bucket}/")
            ),
            "size_bytes": file["size_bytes"],
            "fate": file["fate"],
            "is_set_aside": file["is_set_aside"],
        }
        for file in planned["files"]
    ]


def _upload(target: Target, path: Path, bucket: str, key: str) -> str | None:
    """Upload a file with its sha256, in parts if S3 requires them; returns the object's version id."""
    if not digests.is_by_parts(path.stat().st_size):
        with path.open("rb") as body:
            answer = target.call(
                "s3", "put_object", Bucket=bucket, Key=key, Body=body, ChecksumAlgorithm="SHA256"
            )
        return answer.get("VersionId")
    # S3 computes a digest for each of just these parts, so nobody has to read the object to know its own.
    parts = TransferConfig(
        multipart_threshold=digests.PART_BYTES, multipart_chunksize=digests.PART_BYTES, max_concurrency=4
    )
    target.client("s3").upload_file(
        str(path), bucket, key, ExtraArgs={"ChecksumAlgorithm": "SHA256"}, Config=parts
    )
    return target.call("s3", "head_object", Bucket=bucket, Key=key).get("VersionId")


def examples() -> list[str]:
    """Name the examples that can be copied."""
    return sorted(path.parent.name for path in EXAMPLES.glob("*/pipeline.yaml"))


def init(destination: Path, example: str, ci: str | None = None) -> Path:
    """Copy an example project to a new folder and give the pipeline that folder's name.

    With `ci`, a service that runs workflows, it has one that checks and pushes it.
    """
    source, name = EXAMPLES / example, destination.resolve().name
    try:
        names.pipeline_name(name)
    except names.InvalidNameError as error:
        advice = "The folder's name becomes the pipeline's: name another, such as `sluice init my-model`."
        raise CommandError(str(error), hint=advice, exit_code=EXIT_USAGE) from None
    if not source.is_dir():
        listed = f"Examples: {', '.join(examples())}."
        raise unknown(f"there is no example {example!r}", example, examples(), listed)
    if ci is not None:
        _check_workflow(ci, source)
    if destination.exists():
        advice = "Name a folder that does not exist yet: its last part becomes the pipeline's name."
        raise CommandError(f"{destination} exists already", hint=advice, exit_code=EXIT_USAGE)
    shutil.copytree(source, destination, ignore=shutil.ignore_patterns("__pycache__", "data", ".*"))
    original = projects.load_project(read_folder(source).files).config.name
    # Its links to Sluice's own pages are relative to where it was.
    links = "](../../", f"]({os.path.relpath(REPOSITORY, destination.resolve())}/"
    for file in ("pipeline.yaml", "README.md"):
        if (named := destination / file).exists():
            named.write_text(named.read_text().replace(original, name).replace(*links))
    if ci is not None:
        workflow = destination / WORKFLOWS[ci]
        workflow.parent.mkdir(parents=True)
        workflow.write_text((EXAMPLES / "ci" / f"{ci}.yaml").read_text().replace("my-model", name))
    projects.load_project(read_folder(destination).files)
    return destination


def _check_workflow(ci: str, source: Path) -> None:
    """Raise CommandError if there is no workflow of this name, or none for such an example."""
    if ci not in WORKFLOWS:
        raise unknown(f"there is no workflow for {ci!r}", ci, WORKFLOWS, f"There is: {', '.join(WORKFLOWS)}.")
    if not (source / "get_data.py").is_file():
        raise CommandError(
            f"there is no workflow for {source.name}, whose push needs the SageMaker SDK",
            hint="Take the one of another example, and let it install the SDK for `sluice push --python`.",
            exit_code=EXIT_USAGE,
        )
