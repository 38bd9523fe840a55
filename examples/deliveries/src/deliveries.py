"""Share the columns and the reading of tables between the scripts of this project."""

import csv
from pathlib import Path

import numpy

CARRIERS = ("north", "south", "swift")
COLUMNS = ("id", "distance_km", "weight_kg", "hour", "weekday", "carrier", "rain_mm", "late")
FEATURES = ("distance_km", "weight_kg", "hour", "weekday", "carrier", "rain_mm")


def read_rows(folder):
    """Yield each row of the CSV files below a folder, in the order of their paths."""
    for path in sorted(Path(folder).rglob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)


def features_of(row):
    """Return a row's features as numbers: a carrier by its place in the list, NaN for what is missing."""
    numbers = [row.get(name) for name in FEATURES if name != "carrier"]
    numbers = [float("nan") if value in (None, "") else float(value) for value in numbers]
    return [*numbers[:4], float(CARRIERS.index(row["carrier"])), numbers[4]]


def read_split(folder):
    """Return the rows of a split, their features and their labels."""
    rows = list(read_rows(folder))
    features = numpy.array([features_of(row) for row in rows]).reshape(len(rows), len(FEATURES))
    return rows, features, numpy.array([int(row["late"]) for row in rows])
