"""Choose the threshold on x that fits the training rows best."""

import argparse
import csv
import json
import os
import pathlib


def rows(folder):
    with (pathlib.Path(folder) / "data.csv").open(newline="") as file:
        return [(float(row["x"]), int(row["y"])) for row in csv.DictReader(file)]


def accuracy(threshold, data):
    return sum((x > threshold) == bool(y) for x, y in data) / len(data)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--bins", type=int, default=10)
    bins = arguments.parse_args().bins
    train = rows(os.environ["SM_CHANNEL_TRAIN"])
    best = max((100 * i / bins for i in range(bins)), key=lambda threshold: accuracy(threshold, train))
    print(f"validation accuracy: {accuracy(best, rows(os.environ['SM_CHANNEL_VALIDATION'])):.4f}")
    model = pathlib.Path(os.environ["SM_MODEL_DIR"]) / "model.json"
    model.write_text(json.dumps({"threshold": best}))
