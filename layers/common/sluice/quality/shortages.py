"""Messages about data that need more memory, time or storage than there is."""

from __future__ import annotations

OUT_OF_MEMORY = (
    "checking the data needs more than the memory and ephemeral storage there are: give the "
    "function more of them (MemorySize, EphemeralStorage), or the pipeline smaller data sets"
)


def out_of_time(max_s: float) -> str:
    return (
        f"the data could not be checked within {max_s:.0f} s: give the function more "
        "memory, and so more processors, or the pipeline smaller data sets"
    )


def crashed(name: str) -> str:
    """Return the message about an engine that the signal `name` ended."""
    return f"the process that checked the data crashed ({name}): leave them out, or write them in another way"
