# /// script
# requires-python = ">=3.9"
# ///
"""Write the example's data: two uploads of made-up deliveries, and a malformed one.

    python get_data.py

The same seed always writes the same rows. part-1.csv trains a first model, part-2.csv a better one;
bad.csv is rejected.
"""

import argparse
import csv
import math
import random
from pathlib import Path

COLUMNS = ("id", "distance_km", "weight_kg", "hour", "weekday", "carrier", "rain_mm", "late")
CARRIERS = ("north", "south", "swift")
# What each adds to the log odds of being late.
CARRIER_EFFECTS = {"north": 0.0, "south": 0.9, "swift": -1.1}
FIRST_UPLOAD_ROWS, SECOND_UPLOAD_ROWS, BAD_ROWS = 1500, 3500, 600
MISSING_SHARE = 0.03


def delivery(number, rng):
    distance = round(min(2000.0, rng.lognormvariate(4.2, 1.1)), 1)
    weight = round(min(500.0, rng.lognormvariate(1.6, 1.0)), 1)
    hour, weekday = rng.randrange(7, 22), rng.randrange(7)
    carrier = rng.choice(CARRIERS)
    rain = round(max(0.0, rng.gauss(-4, 12)), 1)
    odds = -2.2 + CARRIER_EFFECTS[carrier] + 0.9 * math.log1p(distance / 80) + 0.05 * rain
    odds += 1.1 * (hour >= 17) + 0.8 * (weekday >= 5) + 0.8 * (weight > 20 and carrier != "swift")
    late = int(rng.random() < 1 / (1 + math.exp(-odds)))
    shown = "" if rng.random() < MISSING_SHARE else rain
    return (f"D{number:06d}", distance, weight, hour, weekday, carrier, shown, late)


def damage(number, row):
    """Spoil half of the rows, each in another way."""
    row = list(row)
    spoilt = {0: (5, "noth"), 1: (1, -3), 2: (7, "yes"), 3: (0, "D1")}
    if number % 8 in spoilt:
        place, value = spoilt[number % 8]
        row[place] = value
    return row


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
    rng = random.Random(7)  # noqa: S311
    rows = [delivery(number, rng) for number in range(FIRST_UPLOAD_ROWS + SECOND_UPLOAD_ROWS + BAD_ROWS)]
    write(out / "part-1.csv", rows[:FIRST_UPLOAD_ROWS])
    write(out / "part-2.csv", rows[FIRST_UPLOAD_ROWS:-BAD_ROWS])
    write(out / "bad.csv", [damage(number, row) for number, row in enumerate(rows[-BAD_ROWS:])])
    print(f"wrote part-1.csv, part-2.csv and bad.csv to {out}")


if __name__ == "__main__":
    main()
