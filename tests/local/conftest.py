"""One local cloud for the whole session; tests keep apart by the names of their resources."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from sluice_local.cloud import LocalCloud


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A running local cloud without IAM enforcement."""
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="session")
def auth_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A running local cloud that enforces the policies of roles."""
    with LocalCloud(tmp_path_factory.mktemp("auth-cloud"), "--auth") as running:
        yield running


@pytest.fixture
def unique() -> Callable[[str], str]:
    """A name no other test uses, with the given prefix."""
    return lambda prefix: f"{prefix}-{uuid.uuid4().hex[:10]}"
