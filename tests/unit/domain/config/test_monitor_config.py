"""monitor: what is watched of a model that was released."""

from __future__ import annotations

import pytest

from sluice.domain import config
from sluice.domain.config import ConfigError


def test_nothing_is_watched_unless_it_is_asked_for(config_text: str) -> None:
    assert config.load(config_text).monitor is None
    loaded = config.load(config_text + "monitor: {capture_percent: 20}\n")
    assert loaded.monitor is not None
    assert loaded.monitor.capture_percent == 20
    assert config.restore(config.dump(loaded)) == loaded


def test_a_pipeline_is_not_called_like_the_folder_of_labels(config_text: str) -> None:
    with pytest.raises(ConfigError, match="labels are uploaded below this one"):
        config.load(config_text.replace("name: reviews-sentiment", "name: ground-truth"))
