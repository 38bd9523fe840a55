"""Processing script: drop deliveries that were uploaded twice, and split the rest by a hash of their ids.

Reads the CSV files below /opt/ml/processing/input/data; writes /opt/ml/processing/{train,validation,test}. On
several instances with a part of the data each (`data_distribution: sharded_by_s3_key`), each names its files.
"""

import argparse
import csv
import hashlib
import json
from contextlib import ExitStack
from pathlib import Path

from deliveries import COLUMNS, read_rows

PROCESSING = Path("/opt/ml/processing")
RESOURCES = Path("/opt/ml/config/resourceconfig.json")
SPLITS = ("train", "validation", "test")


def split_of(name, shares):
    """Choose a delivery's split only by its id, so that it stays there whatever is uploaded later."""
    position = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
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
    arguments = parser.parse_args()

    counts = dict.fromkeys(SPLITS, 0)
    seen = set()
    with ExitStack() as stack:
        writers = {split: writer(stack, split) for split in SPLITS}
        for row in read_rows(PROCESSING / "input" / "data"):
            if row["id"] in seen:
                continue
            seen.add(row["id"])
            split = split_of(row["id"], arguments.split)
            writers[split].writerow([row[name] for name in COLUMNS])
            counts[split] += 1
    print(f"prepared {counts}")


def writer(stack, split):
    """Open a split's CSV file and write its header."""
    folder = PROCESSING / split
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{split}-{this_host()}.csv"
    rows = csv.writer(stack.enter_context(path.open("w", encoding="utf-8", newline="")))
    rows.writerow(COLUMNS)
    return rows


if __name__ == "__main__":
    main()
