"""Count how often `better_than champion with confidence 0.95` passes of two equal models, for all metrics.

    .venv/bin/python benchmarks/gates.py [COMPARISONS]

Prints a table of shares by metric and number of rows. The gate promises at most 5 %; of a thousand
comparisons a true 5 % shows as more than 6.6 % once in a hundred times.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import equal_models
from sluice.domain.config.prediction_metrics import METRICS

SIZES = (50, 200, 1000)


def main(comparisons: int) -> None:
    """Print the table."""
    print("| metric |", " | ".join(f"{rows} rows" for rows in SIZES), "|")
    print("|---|" + "---|" * len(SIZES))
    for name, metric in METRICS.items():
        shares = (equal_models.passed(metric, rows, comparisons) for rows in SIZES)
        print(f"| {name} |", " | ".join(f"{share:.1%}" for share in shares), "|", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else equal_models.COMPARISONS)
