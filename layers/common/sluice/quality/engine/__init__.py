"""The validation engine: DuckDB over the files of a data set."""

from sluice.quality.engine.database import VERSION, EngineLimitError
from sluice.quality.engine.inspecting import DATA, Engine
from sluice.quality.engine.limits import UnreadableError
from sluice.quality.engine.tally import Inspection
from sluice.quality.validation import DataFile

__all__ = ["DATA", "VERSION", "DataFile", "Engine", "EngineLimitError", "Inspection", "UnreadableError"]
