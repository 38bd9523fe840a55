"""Unpack a model's archives, read from S3 with the model's role."""

from __future__ import annotations

import io
import tarfile
import zlib
from pathlib import Path

from sluice.containers import unpacking
from sluice.containers.data import DataError, S3Location
from sluice_local.sagemaker.containers.channels import JobStorage


class ModelDataError(Exception):
    """An archive is missing or invalid; the message is for the endpoint's FailureReason."""


def unpack(storage: JobStorage, uri: str, folder: Path) -> None:
    """Extract the .tar.gz at an s3:// URI; refuse one with paths outside the folder.

    Raises ModelDataError.
    """
    try:
        data = storage.read(S3Location.of(uri))
    except DataError as error:
        raise ModelDataError(
            'Failed to download model data for container "container_1". Please ensure that there is an '
            f'object located at the URL "{uri}" and that the role passed to CreateModel has permissions to '
            f"download the model. ({error})"
        ) from error
    folder.mkdir(parents=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            unpacking.extract(archive, folder)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ModelDataError(
            'Failed to extract model data archive for container "container_1" from URL '
            f'"{uri}". Please ensure that the object located at the URL is a valid tar.gz archive. ({error})'
        ) from error
