"""Write the data of the benchmark: the same rows for the same count, as CSV and as Parquet.

generate.py FOLDER ROWS
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
from task import CODE_EVERY, COUNTRIES, COUNTRY_EVERY, EMAIL_EVERY, ID_EVERY, PRICE_EVERY


def uniform(seed: int) -> str:
    """Return a number in [0, 1) that follows from the row's number."""
    return f"(hash(i * 64 + {seed}) / 18446744073709551616.0)"


def pick(seed: int, *values: str) -> str:
    listed = ", ".join(f"'{value}'" for value in values)
    return f"([{listed}])[1 + floor({uniform(seed)} * {len(values)})::INTEGER]"


def columns() -> dict[str, str]:
    """Return each column as SQL over `i`, the row's number from 1."""
    normal = f"sqrt(-2 * ln(1e-9 + {uniform(1)})) * cos(6.283185307 * {uniform(2)})"
    letters = " || ".join(f"chr(65 + floor({uniform(seed)} * 26)::INTEGER)" for seed in (20, 21, 22))
    code = f"{letters} || '-' || lpad(floor({uniform(23)} * 10000)::INTEGER::VARCHAR, 4, '0')"
    words = " || ' ' || ".join(
        pick(seed, "fine", "late", "broken", "cheap", "again", "never", "lovely") for seed in range(30, 36)
    )
    return {
        "id": f"CASE WHEN i % {ID_EVERY} = 0 THEN i - 1 ELSE i END",
        "customer": f"1 + floor({uniform(3)} * 1000000)::INTEGER",
        "quantity": f"1 + floor(pow({uniform(4)}, 3) * 20)::INTEGER",
        "age": f"CASE WHEN {uniform(5)} < .1 THEN NULL "
        f"ELSE greatest(0, least(120, 40 + 14 * {normal}))::INTEGER END",
        "visits": f"floor(-20 * ln(1 - {uniform(6)}))::INTEGER",
        "rating": f"1 + floor(sqrt({uniform(7)}) * 5)::INTEGER",
        "price": f"round(CASE WHEN i % {PRICE_EVERY} = 0 THEN 20000 "
        f"ELSE least(9999, exp(3 + {normal})) END, 2)",
        "discount": f"round({uniform(8)}, 3)",
        "weight": f"round(-3 * ln(1 - {uniform(9)}), 3)",
        "score": f"CASE WHEN {uniform(10)} < .05 THEN NULL "
        f"ELSE round(greatest(-10, least(10, 2 * {normal})), 4) END",
        "latitude": f"round({uniform(11)} * 180 - 90, 5)",
        "longitude": f"round({uniform(12)} * 360 - 180, 5)",
        "country": f"CASE WHEN i % {COUNTRY_EVERY} = 1 THEN 'XX' ELSE {pick(13, *COUNTRIES)} END",
        "channel": pick(14, "app", "phone", "shop", "web"),
        "status": pick(15, "closed", "new", "open", "paid", "sent"),
        "code": f"CASE WHEN i % {CODE_EVERY} = 2 THEN lower({code}) ELSE {code} END",
        "email": f"CASE WHEN i % {EMAIL_EVERY} = 3 THEN NULL "
        f"ELSE 'user' || floor({uniform(16)} * 1000000)::INTEGER || '@example.com' END",
        "comment": f"CASE WHEN {uniform(17)} < .3 THEN NULL ELSE {words} END",
        "created": f"TIMESTAMP '2024-01-01' + INTERVAL 1 SECOND * floor({uniform(18)} * 60000000)::INTEGER",
        "active": f"{uniform(19)} < .8",
    }


def generate(folder: Path, rows: int) -> None:
    chosen = ", ".join(f"{sql} AS {name}" for name, sql in columns().items())
    database = duckdb.connect(config={"memory_limit": "1GB", "temp_directory": str(folder / "spill")})
    parquet, csv = folder / f"{rows}.parquet", folder / f"{rows}.csv"
    partial = folder / f"{rows}.partial"
    query = f"SELECT {chosen} FROM (SELECT range + 1 AS i FROM range({rows}))"  # noqa: S608
    database.execute(f"COPY ({query}) TO '{partial}' (FORMAT parquet, COMPRESSION zstd)")
    partial.rename(parquet)
    database.execute(f"COPY (FROM read_parquet('{parquet}')) TO '{partial}' (FORMAT csv, HEADER)")
    partial.rename(csv)


if __name__ == "__main__":
    generate(Path(sys.argv[1]), int(sys.argv[2]))
