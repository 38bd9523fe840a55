"""The part of pipeline.yaml about approvals: how many people, who may not, and how long it holds."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from sluice.domain.config.base import Model

_UNITS = {"d": "days", "h": "hours"}


class Approval(Model):
    """What an approval must be before a version is released."""

    expires_after: str = Field(
        "30d",
        description="how long an approval allows a release, a number of days or hours such as 30d or 12h",
        pattern=r"^[1-9][0-9]{0,3}(d|h)$",
    )
    approvals: int = Field(1, description="how many different people must approve", ge=1, le=5)
    separation: bool = Field(False, description="whether who pushed the project version must not approve")

    @property
    def valid_for(self) -> timedelta:
        return timedelta(**{_UNITS[self.expires_after[-1]]: int(self.expires_after[:-1])})

    @property
    def counts_people(self) -> bool:
        """Whether it matters who approves, so that each approver must be vouched for."""
        return self.approvals > 1 or self.separation
