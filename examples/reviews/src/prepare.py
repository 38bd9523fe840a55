"""Processing script: clean the reviews, drop duplicates, split them.

Reads the CSV files below /opt/ml/processing/input/data; writes /opt/ml/processing/{train,validation,test}. On
several instances with a part of the data each (`data_distribution: sharded_by_s3_key`), each names its files
and drops the duplicates of its part.
"""

import argparse
import csv
import hashlib
import html
import json
import re
from contextlib import ExitStack
from pathlib import Path

from reviews import COLUMNS, read_rows

PROCESSING = Path("/opt/ml/processing")
RESOURCES = Path("/opt/ml/config/resourceconfig.json")
SPLITS = ("train", "validation", "test")
TAG = re.compile(r"<[^>]*>")


def clean(review):
    """Drop markup such as <br />, decode entities, collapse white space."""
    return " ".join(TAG.sub(" ", html.unescape(review)).split())


def split_of(review, seed, shares):
    """Choose a review's split only by its text, so that it stays there whatever is uploaded later.

    This way the champion is never scored on its training data.
    """
    digest = hashlib.sha256(f"{seed}:{review}".encode()).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    for index, share in enumerate(shares):
        if position < share:
            return SPLITS[index]
        position -= share
    return SPLITS[-1]  # the sum of shares may be below 1 by rounding


def this_host():
    """Return the name of this instance: algo-1 if there is one only."""
    return json.loads(RESOURCES.read_text())["current_host"] if RESOURCES.exists() else "algo-1"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", type=json.loads, default=[0.7, 0.1, 0.2], help="shares, as a JSON list")
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()

    counts = dict.fromkeys(SPLITS, 0)
    seen = set()
    with ExitStack() as stack:
        writers = {split: writer(stack, split) for split in SPLITS}
        for row in read_rows(PROCESSING / "input" / "data"):
            review = clean(row["review"])
            if not review or review in seen:
                continue
            seen.add(review)
            split = split_of(review, arguments.seed, arguments.split)
            writers[split].writerow((review, row["sentiment"]))
            counts[split] += 1
    print(f"prepared {counts}")


def writer(stack, split):
    """Open a split's CSV file and write its header."""
    folder = PROCESSING / split
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"part-{this_host()}.csv"
    rows = csv.writer(stack.enter_context(path.open("w", encoding="utf-8", newline="")))
    rows.writerow(COLUMNS)
    return rows


if __name__ == "__main__":
    main()
