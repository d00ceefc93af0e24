"""Asks DuckDB what `metrics` was asked, over the same facts in Parquet.

    TIDEWATER_BENCH_PARQUET=folder cargo bench --bench load -- metrics
    python3 benches/load/ask_duckdb.py folder

Needs the packages duckdb and pytz. Prints the median of three runs of each question beside the
figure that the bench wrote into questions.json.
"""

import json
import os
import statistics
import sys
import time

import duckdb

folder = sys.argv[1]
db = duckdb.connect()
db.execute("SET TimeZone = 'UTC'; SET threads = 2")
for table in ("event", "purchase"):
    parquet = os.path.join(folder, f"{table}.parquet")
    if not os.path.exists(parquet):
        csv = os.path.join(folder, f"{table}.csv")
        db.execute(f"COPY (SELECT * FROM read_csv('{csv}')) TO '{parquet}' (FORMAT parquet)")
    db.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{parquet}')")

print("| question | p50 ms | DuckDB ms | ratio |\n|---|---|---|---|")
with open(os.path.join(folder, "questions.json"), encoding="utf-8") as file:
    questions = json.load(file)
for question in questions:
    taken = []
    for _ in range(3):
        begun = time.perf_counter()
        db.execute(question["sql"]).fetchall()
        taken.append((time.perf_counter() - begun) * 1e3)
    median = statistics.median(taken)
    print(f"| {question['name']} | {question['p50']:.1f} | {median:.0f} | {median / question['p50']:.1f} |")
