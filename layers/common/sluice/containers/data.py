"""Read the data sources of a job into folders, and write folders to S3, through any storage."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

_SYNCHRONIZE_EVERY_S = 0.5


class DataError(Exception):
    """Data cannot be read or written; the message says why in AWS's words, for the job's FailureReason."""


@dataclass(frozen=True, slots=True)
class S3Location:
    """A bucket with a key or a prefix."""

    bucket: str
    key: str

    @classmethod
    def of(cls, uri: str) -> S3Location:
        """Parse an `s3://` URI; raises DataError for anything else."""
        scheme, _, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or not bucket:
            raise DataError(f'"{uri}" is not an S3 URI')
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def within(self, relative: str) -> S3Location:
        """Return the location of a relative path below this prefix."""
        return S3Location(self.bucket, f"{self.key.rstrip('/')}/{relative}".lstrip("/"))


@dataclass(frozen=True, slots=True)
class DataObject:
    """An object of a data source, and the path it gets below the channel's folder."""

    location: S3Location
    path: str


class Storage(Protocol):
    """S3 with the rights of a job's role; every method raises DataError."""

    @property
    def role_arn(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def workers(self) -> int:
        """How many objects to transfer at once."""

    def read(self, location: S3Location) -> bytes:
        """Read an object."""

    def keys(self, prefix: S3Location) -> list[str]:
        """Return the keys with a prefix, sorted, without folder markers."""

    def fetch(self, location: S3Location, target: Path) -> None:
        """Write an object to a file."""

    def write(self, location: S3Location, source: Path) -> None:
        """Upload a file."""


def data_objects(storage: Storage, source: Mapping[str, Any]) -> list[DataObject]:
    """Return the objects of an `S3DataSource`, sorted by key; raises DataError if it names none."""
    location = S3Location.of(source["S3Uri"])
    if source["S3DataType"] == "ManifestFile":
        return list(_of_manifest(json.loads(storage.read(location)), location))
    if objects := objects_below(storage, location):
        return objects
    raise DataError(
        f'Data download failed: No S3 objects found under S3 URL "{location}" given in input data source. '
        f"Please ensure that the bucket exists in the selected region ({storage.region}), that "
        f'objects exist under that S3 prefix, and that the role "{storage.role_arn}" has "s3:ListBucket" '
        f'permissions on bucket "{location.bucket}".'
    )


def objects_below(storage: Storage, prefix: S3Location) -> list[DataObject]:
    """Return the objects whose keys have a prefix, if any."""
    return [
        DataObject(S3Location(prefix.bucket, key), _path_below(prefix.key, key))
        for key in storage.keys(prefix)
    ]


def _of_manifest(manifest: Any, location: S3Location) -> Iterator[DataObject]:
    """Yield the objects of `[{"prefix": "s3://bucket/some/"}, "relative/path", ...]`."""
    match manifest:
        case [{"prefix": str(prefix)}, *paths] if paths and all(isinstance(path, str) for path in paths):
            for path in paths:
                yield DataObject(S3Location.of(prefix + path), path)
        case _:
            raise DataError(
                f"Data download failed: The manifest {location} is not a list of a prefix and relative paths."
            )


def _path_below(prefix: str, key: str) -> str:
    """Return an object's path below its prefix if that is a folder, else below the prefix's folder."""
    folder = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
    if key.startswith(folder):
        return key.removeprefix(folder)
    return key.removeprefix(prefix[: prefix.rfind("/") + 1])


def shard(
    objects: Sequence[DataObject], source: Mapping[str, Any], host: int, hosts: int
) -> list[DataObject]:
    """Return the part of a data source's objects for one of `hosts` instances."""
    if source.get("S3DataDistributionType") == "ShardedByS3Key":
        return list(objects[host::hosts])
    return list(objects)


def download(storage: Storage, objects: Sequence[DataObject], folder: Path, gunzip: bool = False) -> None:
    """Write objects below a folder, decompressed if asked; raises DataError, also for a path outside."""
    _each(storage, lambda item: _download(storage, item, folder, gunzip), objects)


@dataclass(frozen=True, slots=True)
class Source:
    """An `S3DataSource`, the folder that it goes to, and whether its objects are decompressed."""

    source: Mapping[str, Any]
    folder: Path
    gunzip: bool = False


def download_all(storage: Storage, sources: Sequence[Source]) -> None:
    """Write the objects of several sources below their folders, as `download` does, all at once.

    Where two sources have the same file, the later one's is there.
    """
    found: list[list[DataObject]] = _each(storage, lambda each: data_objects(storage, each.source), sources)
    wanted = {
        each.folder / item.path: (item, each.folder, each.gunzip)
        for each, items in zip(sources, found, strict=True)
        for item in items
    }
    _each(storage, lambda given: _download(storage, *given), list(wanted.values()))


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Act beside one another; returns what each returned, or raises the first one's error once all ended."""
    with ThreadPoolExecutor(len(acts), thread_name_prefix="beside") as pool:
        return [done.result() for done in [pool.submit(act) for act in acts]]


def _download(storage: Storage, item: DataObject, folder: Path, gunzip: bool) -> None:
    path = PurePosixPath(item.path)
    if path.is_absolute() or ".." in path.parts:
        raise DataError(f"Data download failed: {item.location} would leave its folder.")
    if gunzip and path.suffix == ".gz":
        path = path.with_suffix("")
    target = folder / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if gunzip:
            target.write_bytes(gzip.decompress(storage.read(item.location)))
        else:
            storage.fetch(item.location, target)
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise DataError(
            f"Data download failed: {item.location} is a file where others need a folder."
        ) from error


def _each(storage: Storage, transfer: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """Transfer items, some at once; returns what each gave, or raises the first one's error."""
    workers = min(storage.workers, len(items))
    if workers < 2:
        return [transfer(item) for item in items]
    with ThreadPoolExecutor(workers, thread_name_prefix="transfer") as pool:
        return [done.result() for done in [pool.submit(transfer, item) for item in items]]


def files_below(folder: Path) -> Iterator[Path]:
    """Yield a folder's regular files in a fixed order, without following or including symbolic links."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path


def upload(storage: Storage, folder: Path, target: S3Location) -> None:
    """Write every file of a folder below a prefix."""

    def write(path: Path) -> None:
        storage.write(_uploaded(path, folder, target), path)

    _each(storage, write, list(files_below(folder)))


def _uploaded(path: Path, folder: Path, target: S3Location) -> S3Location:
    """Return where a file of a folder goes; raises DataError for a name that no key can have."""
    name = path.relative_to(folder).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"Data upload failed: the name of a file is no UTF-8: {name!a}") from error
    return target.within(name)


class Synchronizer:
    """Uploads a folder's new and changed files while a container writes them, and the rest at the end."""

    def __init__(self, storage: Storage, folder: Path, target: S3Location) -> None:
        self._storage = storage
        self._folder = folder
        self._target = target
        self._seen = {path: _version(path) for path in files_below(folder)}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"synchronize-{folder.name}", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Upload what is left; raises DataError."""
        self._stopping.set()
        self._thread.join()
        self._upload_changes()

    def _run(self) -> None:
        while not self._stopping.wait(_SYNCHRONIZE_EVERY_S):
            try:
                self._upload_changes()
            except (DataError, OSError):  # removed meanwhile, or refused by S3: `finish` retries
                continue

    def _upload_changes(self) -> None:
        for path in files_below(self._folder):
            version = _version(path)
            if self._seen.get(path) != version:
                self._storage.write(_uploaded(path, self._folder, self._target), path)
                self._seen[path] = version


def _version(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size
