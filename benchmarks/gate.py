"""The gate on one large delivery, against plain DuckDB and against pandera on polars over the same file."""

from pathlib import Path

from benchmarks.measure import Figure, middle_of, python_work
from pipelines.contract import load_register
from pipelines.samples import make_samples
from pipelines.settings import PROJECT, Settings

DATASET = "thuong-mai-dien-tu/gian-hang"
SCALE = 20

GATE = """
import sys, duckdb
from pathlib import Path
from pipelines.contract import load_register
from pipelines.gate import judge
from pipelines.settings import PROJECT
from time import perf_counter
contract = load_register(PROJECT / "datasets").contracts["thuong-mai-dien-tu/gian-hang"]
start = perf_counter()
with duckdb.connect() as connection:
    connection.execute("SET memory_limit = '600MB'")
    judgement = judge(connection, contract, Path(sys.argv[1]), Path(sys.argv[2] + ".staged"))
    assert judgement.rows_accepted > 1_000_000, judgement
    connection.execute(f"COPY ({judgement.accepted}) TO '{sys.argv[2]}.out' (FORMAT parquet, COMPRESSION zstd)")
print(perf_counter() - start)
"""
PLAIN = """
import sys, duckdb
from time import perf_counter
start = perf_counter()
with duckdb.connect() as connection:
    connection.execute("SET memory_limit = '600MB'")
    connection.execute(f"COPY (SELECT * FROM read_csv('{sys.argv[1]}')) TO '{sys.argv[2]}' (FORMAT parquet, COMPRESSION zstd)")
print(perf_counter() - start)
"""
PANDERA = """
import sys
import polars as pl
from pipelines.contract import load_register
from pipelines.gate.row_schema import POLARS_TYPES, row_schema
from pipelines.settings import PROJECT
from time import perf_counter
contract = load_register(PROJECT / "datasets").contracts["thuong-mai-dien-tu/gian-hang"]
schema = row_schema(contract)
start = perf_counter()
frame = pl.read_csv(sys.argv[1], schema={c.name: POLARS_TYPES[c.type] for c in contract.columns}, truncate_ragged_lines=True)
schema.validate(frame, lazy=True)
frame.write_parquet(sys.argv[2], compression="zstd")
print(perf_counter() - start)
"""


def measure(folder: Path) -> list[Figure]:
    register = load_register(PROJECT / "datasets")
    [file] = make_samples(register, Settings(PROJECT / "datasets", folder / "large"), [DATASET], scale=SCALE, faults=False)
    rows = SCALE * register.contracts[DATASET].sample.rows
    runs = {
        name: middle_of(3, lambda code=code, name=name: python_work(code, file, folder / f"{name}.parquet"))
        for name, code in (("gate", GATE), ("plain", PLAIN), ("pandera", PANDERA))
    }
    gate, plain, pandera = runs["gate"], runs["plain"], runs["pandera"]
    what = f"gate, {rows / 1e6:.1f} million rows of {DATASET} ({file.stat().st_size / 1e6:.0f} MB CSV)"
    return [
        Figure(what, gate.seconds, "s", None, "plain DuckDB, CSV to Parquet, nothing checked", plain.seconds),
        Figure("… the same", gate.seconds, "s", None, "pandera on polars, whole file in memory, keys not judged", pandera.seconds),
        Figure("… resident memory", gate.megabytes, "MB", None, "pandera on polars", pandera.megabytes),
    ]
