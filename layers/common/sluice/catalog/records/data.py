"""Records of data: the objects that arrived, and the data set versions made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sluice.catalog import keys
from sluice.catalog.records.base import attributes, known
from sluice.lazy import dataclass

Item = dict[str, Any]
# `new` until it is judged.
# An empty one is what a recall leaves: nothing judges it.
DatasetStatus = Literal["new", "valid", "rejected", "empty"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set version."""

    pipeline: str
    version: str
    status: DatasetStatus
    manifest_uri: str
    objects: int
    size_bytes: int
    created_at: str
    rows: int | None = None
    report_uri: str | None = None
    reasons: Sequence[str] = ()

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Dataset:
        key = {"pipeline": keys.pipeline_of(item), "version": keys.dataset_version_of(item)}
        return cls(**known(cls, item, **key))

    def item(self) -> Item:
        key = keys.dataset_key(self.pipeline, self.version)
        return {**key, **attributes(self, "pipeline", "version")}
