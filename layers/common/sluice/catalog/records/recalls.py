"""Records of recalls: contents that no model may be trained with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from sluice.catalog import keys
from sluice.catalog.records.base import attributes, known
from sluice.lazy import dataclass

Item = dict[str, Any]
# `open` until a run that began since registered a model without it.
RecallStatus = Literal["open", "rebuilt"]


@dataclass(frozen=True, slots=True)
class Recall:
    """A content that a person recalled, by its sha256, under whatever key it arrives."""

    pipeline: str
    sha256: str
    key: str
    status: RecallStatus
    at: str
    actor: str
    reason: str
    request_id: str
    # When its objects were set aside and a build was asked for.
    done_at: str | None = None
    # The run that registered a model without it.
    run_id: str | None = None
    package_arn: str | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Recall:
        key = {"pipeline": keys.pipeline_of(item), "sha256": keys.recalled_of(item)}
        return cls(**known(cls, item, **key))

    def item(self) -> Item:
        return {**keys.recall_key(self.pipeline, self.sha256), **attributes(self, "pipeline", "sha256")}
