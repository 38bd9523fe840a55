"""Projects: pipeline.yaml with its scripts, packed the same way each time and unpacked without trust."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from sluice.domain import canonical
from sluice.domain.build import requirements
from sluice.domain.config import PipelineConfig, dump, load
from sluice.domain.nearest import hint

CONFIG_FILE = "pipeline.yaml"
# The bundle's metadata with which a push says that what serves need not be beaten; its value is who says so.
REPLACE_CHAMPION = "replace-champion"
REQUIREMENTS_FILE = "requirements.txt"
# The catalog holds it in an item, of 400 kB at most.
MAX_CONFIG_BYTES = 380_000
MAX_FILES = 1000
# A key of S3 has 1,024, before which come the pipeline and the version.
MAX_PATH_BYTES = 800
MAX_FILE_BYTES = 5 * 1024 * 1024
MAX_TOTAL_BYTES = 25 * 1024 * 1024
# Beside the files' bytes a tar holds headers, padding and the paths that are too long for a header.
_MAX_TAR_BYTES = MAX_TOTAL_BYTES + MAX_FILES * 4096
_CACHES = {"__pycache__", "node_modules"}
_ABOUT = ("README", "LICENSE", "CHANGELOG")
_MADE = (".pyc", ".pyo", "~")
# What lies at the root of an environment, whatever its folder is called.
_VENV_MARK = "pyvenv.cfg"
_CONDA_MARK = ("conda-meta", "history")
# What `sluice validate` writes: some of it holds rows of the data. The first two are always there.
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

    @property
    def source_dir(self) -> str:
        return self.config.source_dir

    @property
    def source_files(self) -> dict[str, bytes]:
        """The script folder's files, by their path in it."""
        prefix = f"{self.source_dir}/" if self.source_dir else ""
        return {
            path.removeprefix(prefix): data for path, data in self.files.items() if path.startswith(prefix)
        }

    @property
    def content(self) -> str:
        """A digest of what a run reads: the config's meaning, the scripts, and the sample.

        Texts about the project, and what else lies beside the scripts' folder, are not among it.
        """
        read = {
            path: data for path, data in self.source_files.items() if not _is_about(path, self.source_dir)
        }
        digests = {path: hashlib.sha256(data).hexdigest() for path, data in read.items()}
        sample = hashlib.sha256(self.files[self.config.serve.sample]).hexdigest()
        return canonical.digest({"config": dump(self.config), "sample": sample, "scripts": digests})

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
    project = Project(config, files, version(files))
    _check_requirements(project)
    return project


def _is_about(path: str, source_dir: str) -> bool:
    """Whether a file at the project's root is a text about it, where its scripts lie there too."""
    return not source_dir and "/" not in path and path.upper().startswith(_ABOUT)


def _check_requirements(project: Project) -> None:
    """Refuse what pip could not read: it would fail in every job, hours later."""
    try:
        requirements.lines(project.source_files.get(REQUIREMENTS_FILE, b""))
    except ValueError as error:
        path = f"{project.source_dir}/{REQUIREMENTS_FILE}".lstrip("/")
        raise ProjectError(f"{path} cannot be read: {error}") from None


def version(files: Mapping[str, bytes]) -> str:
    """The project version: a digest of the files' paths and content, whatever packed them."""
    return canonical.digest({path: hashlib.sha256(data).hexdigest() for path, data in files.items()})


def check_names(paths: Collection[str]) -> None:
    """Refuse, with a ProjectError, names that S3 and the jobs' file systems cannot both hold."""
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
    """Refuse, with a ProjectError, an archive that nothing needs to read: no project is as large."""
    if size_bytes > _MAX_TAR_BYTES:
        raise ProjectError(f"the bundle has {size_bytes} bytes, a project's files at most {MAX_TOTAL_BYTES}")


def check_sizes(sizes: Mapping[str, int]) -> None:
    """Refuse, with a ProjectError, what is too large to be a project."""
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
    """Files that a push leaves out: the folder, the file or the pattern, and why."""

    what: str
    why: str


def left_out(paths: Collection[str]) -> dict[str, LeftOut]:
    """By path what of a folder's files is no part of the project.

    Hidden files, caches, environments, the reports of `sluice validate`, and what lies in the folder `data`
    at the root and is no Python file.
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
    """Pack the script folder, as SAGEMAKER_SUBMIT_DIRECTORY wants it: the scripts at the root."""
    return pack(project.source_files)


def unpack(data: bytes) -> dict[str, bytes]:
    """Unpack a tar.gz of plain files; raises ProjectError for anything else or too much of it."""
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
