"""Check projects (pipeline.yaml with its scripts), pack them reproducibly and unpack them without trust."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from sluice.domain import canonical
from sluice.domain.build import environments, package_lists, requirements
from sluice.domain.build.requirements import REQUIREMENTS_FILE
from sluice.domain.config import PipelineConfig, dump, load
from sluice.domain.locations import CAPTURE_URI_VARIABLE
from sluice.domain.nearest import hint
from sluice.lazy import dataclass

if TYPE_CHECKING:
    from sluice.domain.build.sdk.definitions import Definition

CONFIG_FILE = "pipeline.yaml"
# Metadata of a bundle: who pushes it, by its own account.
PUSHED_BY = "pushed-by"
# Metadata of a bundle: the next model need not beat the champion. The value names who says so.
REPLACE_CHAMPION = "replace-champion"
# An item of the catalog holds the config; its limit is 400 kB.
MAX_CONFIG_BYTES = 380_000
MAX_FILES = 1000
# An S3 key has at most 1,024 bytes, and starts with the pipeline and the version.
MAX_PATH_BYTES = 800
MAX_FILE_BYTES = 5 * 1024 * 1024
MAX_TOTAL_BYTES = 25 * 1024 * 1024
# Besides files a tar holds headers, padding, and paths that are too long for a header.
_MAX_TAR_BYTES = MAX_TOTAL_BYTES + MAX_FILES * 4096
_CACHES = {"__pycache__", "node_modules"}
_ABOUT = ("README", "LICENSE", "CHANGELOG")
_MADE = (".pyc", ".pyo", "~")
# This file marks the root of a virtual environment, whatever the folder's name.
_VENV_MARK = "pyvenv.cfg"
_CONDA_MARK = ("conda-meta", "history")
# What `sluice validate` writes, partly with rows of the data. The first two files are always there.
_REPORTS = (
    "report.json",
    "report.html",
    "profile.json",
    "rows.json",
    "statistics.json",
    "constraints.json",
    "constraint_violations.json",
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")


class ProjectError(ValueError):
    """A project cannot be used; `reasons` says why, a line each."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = reasons
        super().__init__("\n".join(reasons))


@dataclass(frozen=True, slots=True)
class Project:
    """A checked project; `files` are all files by path, `version` the digest of their content."""

    config: PipelineConfig
    files: Mapping[str, bytes]
    version: str
    definition: Definition | None = None
    """Of the pipeline of SageMaker that builds run, if they do, and if its JSON is among the files."""

    @property
    def source_dir(self) -> str:
        return self.config.source_dir

    @property
    def source_files(self) -> dict[str, bytes]:
        """The script folder's files by their paths in it."""
        prefix = f"{self.source_dir}/" if self.source_dir else ""
        return {
            path.removeprefix(prefix): data for path, data in self.files.items() if path.startswith(prefix)
        }

    @property
    def script_names(self) -> dict[str, str]:
        """The scripts by step, as paths in the script folder."""
        prefix = f"{self.source_dir}/" if self.source_dir else ""
        return {step: path.removeprefix(prefix) for step, path in self.config.scripts.items()}

    @property
    def content(self) -> str:
        """A digest of what a run reads: the config's meaning, the scripts and the sample.

        It ignores texts about the project and other files outside the scripts' folder.
        """
        read = {
            path: data for path, data in self.source_files.items() if not _is_about(path, self.source_dir)
        }
        digests = {path: hashlib.sha256(data).hexdigest() for path, data in read.items()}
        sample = hashlib.sha256(self.files[self.config.serve.sample]).hexdigest()
        read_too = {"sample": sample, "scripts": digests}
        if self.definition_bytes is not None:
            read_too |= {"definition": hashlib.sha256(self.definition_bytes).hexdigest()}
        return canonical.digest({"config": dump(self.config), **read_too})

    @property
    def definition_bytes(self) -> bytes | None:
        """The definition's JSON; None if builds run scripts, or nobody made it of pipeline.py yet."""
        return self.files.get(self.config.build.definition) if self.config.build else None

    @property
    def train_program(self) -> str | None:
        """The program that training jobs on SageMaker start in place of the script, which lists packages."""
        if self.config.train_ is None or package_lists.PROGRAM in self.source_files:
            return None
        return package_lists.PROGRAM

    @property
    def has_requirements(self) -> bool:
        """Whether the scripts need packages that the image lacks."""
        return bool(requirements.lines(self.source_files.get(REQUIREMENTS_FILE, b"")))


def load_project(files: Mapping[str, bytes]) -> Project:
    """Check the project's files; raises ConfigError or ProjectError."""
    check_names(files)
    check_sizes({path: len(data) for path, data in files.items()})
    if CONFIG_FILE not in files:
        raise ProjectError(f"there is no {CONFIG_FILE} at the project's root")
    try:
        config = load(files[CONFIG_FILE].decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ProjectError(f"{CONFIG_FILE} is no UTF-8 text: byte {error.start}") from None
    named = {f"{field}.script": path for field, path in config.scripts.items()}
    named["serve.sample"] = config.serve.sample
    if config.build is not None:
        named["build.pipeline"] = config.build.pipeline
    absent = [
        f"{field} names {path!r}, which is not in the project{hint(path, files)}"
        for field, path in named.items()
        if path not in files
    ]
    if absent:
        raise ProjectError(*absent)
    if (size := len(dump(config).encode())) > MAX_CONFIG_BYTES:
        spelt = f"{CONFIG_FILE} has {size} bytes as it is stored, at most {MAX_CONFIG_BYTES}"
        raise ProjectError(f"{spelt}: name fewer columns in data.schema")
    config, definition = _with_pipeline(config, files)
    project = Project(config, files, version(files), definition)
    _check_requirements(project)
    _check_capturing(project)
    return project


def _with_pipeline(
    config: PipelineConfig, files: Mapping[str, bytes]
) -> tuple[PipelineConfig, Definition | None]:
    """Check the pipeline of SageMaker that builds run, and complete what the config says of it."""
    build = config.build
    data = files.get(build.definition) if build else None
    if build is None or data is None:
        return config, None
    from sluice.domain.build.sdk import binding, checking, definitions  # few projects name one

    try:
        definition = definitions.read(data)
    except definitions.DefinitionError as error:
        raise ProjectError(*(f"{build.definition}: {reason}" for reason in error.reasons)) from None
    found = checking.problems(definition, build.parameter("input_manifest"))
    wrong = [
        *(f"{build.definition}: {each}" for each in found),
        *binding.problems(build, definition),
    ]
    if wrong:
        raise ProjectError(*wrong)
    return config.model_copy(update={"build": binding.resolved(build, definition)}), definition


def _is_about(path: str, source_dir: str) -> bool:
    """Tell whether a file is a text about the project at its root, beside the scripts."""
    return not source_dir and "/" not in path and path.upper().startswith(_ABOUT)


def _check_requirements(project: Project) -> None:
    """Refuse a requirements.txt that pip cannot read: it would fail in every job, hours later."""
    try:
        requirements.lines(project.source_files.get(REQUIREMENTS_FILE, b""))
    except ValueError as error:
        path = f"{project.source_dir}/{REQUIREMENTS_FILE}".lstrip("/")
        raise ProjectError(f"{path} cannot be read: {error}") from None
    if project.has_requirements and any(each.isolation for each in project.config.computes.values()):
        raise ProjectError(
            "requirements.txt cannot be installed without a network: take compute.isolation out, or name an "
            "image that holds what the scripts need"
        )
    named = [name for name, compute in project.config.computes.items() if compute.backend == "lambda"]
    if named and (problem := _not_for_lambda(project)):
        where = f"{named[0]}.compute.backend"
        raise ProjectError(f"{where} is lambda, and {problem}: set it to auto or sagemaker")


def _check_capturing(project: Project) -> None:
    """Refuse a project that says that its script captures requests, while no script does."""
    monitor = project.config.monitor
    if monitor is None or monitor.capture == "endpoint":
        return
    if not any(CAPTURE_URI_VARIABLE.encode() in data for data in project.source_files.values()):
        raise ProjectError(
            f"monitor.capture is script, and no script reads {CAPTURE_URI_VARIABLE}, where it is to write: "
            "copy examples/reviews/src/capturing.py, or let the endpoint capture"
        )


def off_lambda(project: Project) -> list[str]:
    """Warn that jobs which would fit Lambda run on SageMaker, for want of packages."""
    problem = _not_for_lambda(project)
    if problem is None or not environments.is_wanted(project.config):
        return []
    return [f"{problem}: the jobs run on SageMaker, which takes minutes to start each"]


def _not_for_lambda(project: Project) -> str | None:
    """Say why jobs on Lambda cannot have the packages; what only the package index knows, a run says."""
    if project.config.framework is None:
        return "what the custom image holds is not known"
    return environments.requirements_problem(project.source_files.get(REQUIREMENTS_FILE, b""))


def version(files: Mapping[str, bytes]) -> str:
    """Return the project version: a digest of the files' paths and content, however packed."""
    return canonical.digest({path: hashlib.sha256(data).hexdigest() for path, data in files.items()})


def check_names(paths: Collection[str]) -> None:
    """Raise ProjectError for names that S3 or the jobs' file systems cannot hold."""
    known, reasons = set(paths), list[str]()
    for path in paths:
        try:
            length = len(path.encode())
        except UnicodeEncodeError:
            reasons.append(f"the name of {path!a} is not UTF-8: rename the file")
            continue
        if length > MAX_PATH_BYTES:
            reasons.append(f"the path {path[:80]}… has {length} bytes, at most {MAX_PATH_BYTES}")
        reasons += [
            f"{path} lies in {parent}, which is a file"
            for parent in map(str, PurePosixPath(path).parents)
            if parent in known
        ]
    if reasons:
        raise ProjectError(*reasons)


def check_bundle_size(size_bytes: int) -> None:
    """Raise ProjectError for an archive that is too large to be a project's, without reading it."""
    if size_bytes > _MAX_TAR_BYTES:
        raise ProjectError(f"the bundle has {size_bytes} bytes, a project's files at most {MAX_TOTAL_BYTES}")


def check_sizes(sizes: Mapping[str, int]) -> None:
    """Raise ProjectError for files that are too large to be a project."""
    reasons = [
        f"{path} has {size} bytes, a file of a project at most {MAX_FILE_BYTES}: upload data instead"
        for path, size in sizes.items()
        if size > MAX_FILE_BYTES
    ]
    if len(sizes) > MAX_FILES:
        reasons.append(f"there are {len(sizes)} files, at most {MAX_FILES}")
    if sum(sizes.values()) > MAX_TOTAL_BYTES:
        reasons.append(f"the files have {sum(sizes.values())} bytes, at most {MAX_TOTAL_BYTES}")
    if reasons:
        raise ProjectError(*reasons)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Files that a push leaves out: a folder, a file or a pattern, and why."""

    what: str
    why: str


def left_out(paths: Collection[str]) -> dict[str, LeftOut]:
    """Return which of a folder's files are not part of the project, by path.

    These are hidden files, caches, virtual environments, the reports of `sluice validate`, and all but
    Python files in the folder `data` at the root.
    """
    known = set(paths)
    reports = {
        str(folder / name)
        for folder in {PurePosixPath(path).parent for path in paths}
        if {str(folder / mark) for mark in _REPORTS[:2]} <= known
        for name in _REPORTS
    }
    environments = {
        str(path.parent if path.name == _VENV_MARK else path.parent.parent)
        for path in map(PurePosixPath, paths)
        if path.name == _VENV_MARK or path.parts[-2:] == _CONDA_MARK
    } - {"."}
    found = {path: _why_left_out(PurePosixPath(path), environments, reports) for path in paths}
    return {path: why for path, why in found.items() if why is not None}


def _why_left_out(
    path: PurePosixPath, environments: Collection[str], reports: Collection[str]
) -> LeftOut | None:
    folders = [*reversed(path.parents)][1:]
    for folder in folders:
        if folder.name.startswith("."):
            return LeftOut(f"{folder}/", "hidden")
        if folder.name in _CACHES or folder.name.endswith(".egg-info"):
            return LeftOut(f"{folder.name}/", "made by tools")
        if str(folder) in environments:
            return LeftOut(f"{folder}/", "a virtual environment")
    if path.name.startswith("."):
        return LeftOut(str(path), "hidden")
    if str(path) in reports:
        return LeftOut(f"{path.parent}/", "reports of data")
    if path.name.endswith(_MADE):
        return LeftOut(f"*{path.name[-1] if path.name.endswith('~') else path.suffix}", "made by tools")
    if folders and str(folders[0]) == "data" and path.suffix != ".py":
        return LeftOut("data/", "data, not code: upload it")
    return None


def pack(files: Mapping[str, bytes]) -> bytes:
    """Pack the files into a tar.gz: the same files always give the same bytes."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(files):
            # A fresh TarInfo has no owner and a zero mtime.
            info = tarfile.TarInfo(path)
            info.size = len(files[path])
            archive.addfile(info, io.BytesIO(files[path]))
    return gzip.compress(raw.getvalue(), mtime=0)


def sourcedir(project: Project) -> bytes:
    """Pack the script folder for SAGEMAKER_SUBMIT_DIRECTORY: the scripts are at the root, and our program."""
    ours = {project.train_program: package_lists.SOURCE.encode()} if project.train_program else {}
    return pack({**project.source_files, **ours})


def unpack(data: bytes) -> dict[str, bytes]:
    """Unpack a tar.gz of plain files; raises ProjectError for anything else or too much."""
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(_decompress(data)), mode="r:") as archive:
            for member in archive:
                if not member.isdir():
                    _add(files, archive, member)
    except ProjectError:
        raise
    except (tarfile.TarError, zlib.error, ValueError, ArithmeticError, OSError) as error:
        raise ProjectError(f"the bundle is no readable tar.gz: {error}") from None
    check_names(files)
    check_sizes({path: len(content) for path, content in files.items()})
    return files


def _decompress(data: bytes) -> bytes:
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    raw = inflater.decompress(data, _MAX_TAR_BYTES + 1)
    if len(raw) > _MAX_TAR_BYTES:
        raise ProjectError(f"the bundle unpacks to more than {MAX_TOTAL_BYTES} bytes")
    if not inflater.eof:
        raise ProjectError("the bundle is no readable tar.gz: it ends early")
    return raw


def _add(files: dict[str, bytes], archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    path = member.name.removeprefix("./")
    if not member.isreg() or member.issparse():
        raise ProjectError(f"the bundle holds {path!r}, which is no plain file")
    if _CONTROL.search(path) or any(part in {"", ".", ".."} for part in path.split("/")):
        raise ProjectError(f"the bundle holds {path!r}, which is no path inside a project")
    if path in files:
        raise ProjectError(f"the bundle holds {path!r} twice")
    extracted = archive.extractfile(member)
    files[path] = extracted.read() if extracted else b""
