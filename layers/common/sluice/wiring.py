"""Make the cloud that handlers pass to use cases. Only this module reads the environment."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluice.ports import Cloud


@cache
def cloud() -> Cloud:
    from sluice.adapters.cloud import AwsCloud

    return AwsCloud(os.environ)
