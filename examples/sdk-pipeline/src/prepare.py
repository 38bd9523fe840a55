"""Processing script: split the reviews that this instance got into train, validation and test.

The data set's files are shared out to the instances (ShardedByS3Key), so each writes a part of every split.
"""

import argparse
import csv
import hashlib
import json
from pathlib import Path

PROCESSING = Path("/opt/ml/processing")
SPLITS = ("train", "validation", "test")


def host():
    """Return this instance's name, by which its files differ from the others'."""
    return json.loads(Path("/opt/ml/config/resourceconfig.json").read_text())["current_host"]


def split_of(review, train_share):
    """Choose a review's split only by its text, so that it stays there whatever is uploaded later."""
    position = int.from_bytes(hashlib.sha256(review.encode()).digest()[:8], "big") / 2**64
    if position < train_share:
        return "train"
    return "validation" if position < (1 + train_share) / 2 else "test"


def reviews():
    """Yield each review once, with its sentiment."""
    seen = set()
    files = sorted((PROCESSING / "input" / "data").rglob("*.csv"))
    for path in files:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["review"] not in seen:
                    seen.add(row["review"])
                    yield row["review"], row["sentiment"]
    print(f"{host()} has {len(files)} files and {len(seen)} reviews")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train-share", type=float, default=0.7)
    train_share = parser.parse_args().train_share
    rows = {split: [] for split in SPLITS}
    for review, sentiment in reviews():
        rows[split_of(review, train_share)].append((review, sentiment))
    for split, found in rows.items():
        folder = PROCESSING / "output" / split
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"part-{host()}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(found)


if __name__ == "__main__":
    main()
