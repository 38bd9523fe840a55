"""How a model is watched after its release."""

from __future__ import annotations

from pydantic import Field

from sluice.domain.config.base import Model


class Monitor(Model):
    """Capture a share of the requests to each endpoint, with their answers."""

    capture_percent: int = Field(100, description="the share of requests to capture, 1 to 100", ge=1, le=100)
