"""The validation engine: DuckDB over the files of a data set."""

from sluice.adapters.engine.database import EngineLimitError
from sluice.adapters.engine.inspecting import DATA, Engine
from sluice.adapters.engine.limits import UnreadableError
from sluice.adapters.engine.tally import Inspection
from sluice.domain.datasets import DataFile

__all__ = ["DATA", "DataFile", "Engine", "EngineLimitError", "Inspection", "UnreadableError"]
