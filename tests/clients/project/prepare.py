"""Split product reviews, of which each instance gets its part, into train, validation and test."""

import argparse
import json
import pathlib

import pandas as pd

BASE = pathlib.Path("/opt/ml/processing")

parser = argparse.ArgumentParser()
parser.add_argument("--train-split-percentage", type=float, default=0.8)
args = parser.parse_args()

host = json.loads(pathlib.Path("/opt/ml/config/resourceconfig.json").read_text())["current_host"]
parts = [pd.read_csv(path) for path in sorted((BASE / "input/data").glob("*.csv"))]
rows = pd.concat(parts).drop_duplicates("review").reset_index(drop=True)
last = int(len(rows) * args.train_split_percentage)
middle = last + (len(rows) - last) // 2
for name, part in (("train", rows[:last]), ("validation", rows[last:middle]), ("test", rows[middle:])):
    folder = BASE / "output/sentiment" / name
    folder.mkdir(parents=True, exist_ok=True)
    part.to_csv(folder / f"part-{host}.csv", index=False)
print(f"{host} has {len(parts)} files and {len(rows)} rows")
