"""Share the columns, the labels and the reading of tables between the scripts of this project."""

import csv
from pathlib import Path

POSITIVE, OTHER = "great", "other"
COLUMNS = ("review", "sentiment")
# Reviews may be longer than the csv module's default limit of a field.
csv.field_size_limit(10_000_000)


def read_rows(folder):
    """Yield each row of the CSV files below a folder, in the order of their paths."""
    for path in sorted(Path(folder).rglob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)


def read_split(folder):
    """Return the reviews of a split and whether each is positive."""
    rows = list(read_rows(folder))
    return [row["review"] for row in rows], [row["sentiment"] == POSITIVE for row in rows]
