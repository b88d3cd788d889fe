"""The whole gate on one very large CSV: read, type, test, commit; held against plain DuckDB and, as a rival, dlt."""

from pathlib import Path

import duckdb
import yaml

from benchmarks.measure import Figure, python_work
from pipelines.sql import literal

ROWS = 10_000_000
LARGE = 100_000_000
COMMUNES = 188
SHARES = (0.0, 0.001, 0.05)

COLUMNS = """
    printf('H39.%02d-2306%02d-%08d', i % 40, 1 + i % 28, i) AS ma_ho_so,
    CASE WHEN bad AND i % 5 = 0 THEN '99999' ELSE printf('%05d', 27000 + hash(i) % {communes} * 3) END AS ma_xa,
    CASE WHEN bad AND i % 5 = 1 THEN 'Khác' ELSE ['Đất đai', 'Hộ tịch', 'Đầu tư', 'Xây dựng', 'Lao động'][1 + CAST(hash(i + 1) % 5 AS INTEGER)] END AS linh_vuc,
    ['Trực tiếp', 'Trực tuyến', 'Bưu chính'][1 + CAST(hash(i + 2) % 3 AS INTEGER)] AS kenh,
    DATE '2022-01-01' + CAST(hash(i + 3) % 700 AS INTEGER) AS ngay_nhan,
    DATE '2022-01-01' + CAST(hash(i + 3) % 700 AS INTEGER) + CASE WHEN bad AND i % 5 = 2 THEN -3 ELSE CAST(hash(i + 4) % 30 AS INTEGER) END AS ngay_tra,
    CASE WHEN bad AND i % 5 = 3 THEN 'chưa thu' ELSE CAST(hash(i + 5) % 100000000 / 100.0 AS VARCHAR) END AS le_phi,
    hash(i + 6) % 20 AS so_giay_to,
    round(hash(i + 7) % 10000 / 100.0, 2) AS ty_le,
    CASE WHEN bad AND i % 5 = 4 THEN '1234' ELSE '09' || printf('%08d', hash(i + 8) % 100000000) END AS dien_thoai,
    'Nguyễn Văn ' || ['An', 'Bình', 'Cường', 'Dũng', 'Hòa'][1 + CAST(hash(i + 9) % 5 AS INTEGER)] AS chu_ho_so,
    CASE WHEN i % 3 > 0 THEN 'Bổ sung giấy tờ lần ' || (i % 9) END AS ghi_chu
"""


def _column(name: str, kind: str = "string", **fields: object) -> dict[str, object]:
    values = fields.pop("values", None)
    quality = [{"type": "library", "metric": "invalidValues", "arguments": {"validValues": values}, "mustBe": 0}] if values else []
    titles = {"businessName": name, "description": name, "customProperties": [{"property": "titleEn", "value": name}]}
    return {"name": name, "logicalType": kind} | titles | fields | ({"quality": quality} if quality else {})


def register(folder: Path) -> None:
    """A register with the one dataset that is measured: 12 columns; a key, a list of 188 codes and 13 more rules."""
    communes = [f"{27000 + n * 3:05d}" for n in range(COMMUNES)]
    columns = [
        _column("ma_ho_so", required=True, primaryKey=True, logicalTypeOptions={"pattern": "H39[.][0-9]{2}-[0-9]{6}-[0-9]{8}"}),
        _column("ma_xa", required=True, values=communes),
        _column("linh_vuc", required=True, values=["Đất đai", "Hộ tịch", "Đầu tư", "Xây dựng", "Lao động"]),
        _column("kenh", values=["Trực tiếp", "Trực tuyến", "Bưu chính"]),
        _column("ngay_nhan", "date", required=True, logicalTypeOptions={"minimum": "2000-01-01"}),
        _column("ngay_tra", "date"),
        _column("le_phi", "number", logicalTypeOptions={"minimum": 0}),
        _column("so_giay_to", "integer", logicalTypeOptions={"minimum": 0, "maximum": 99}),
        _column("ty_le", "number", logicalTypeOptions={"minimum": 0, "maximum": 100}),
        _column("dien_thoai", logicalTypeOptions={"pattern": "0[0-9]{9,10}"}),
        _column("chu_ho_so", required=True, logicalTypeOptions={"maxLength": 100}),
        _column("ghi_chu", logicalTypeOptions={"maxLength": 200}),
    ]
    rules = [
        {
            "name": "thu_tu_ngay",
            "description": "Trả trước khi nhận",
            "type": "custom",
            "engine": "kho",
            "implementation": "ngay_tra >= ngay_nhan",
        }
    ]
    facts = {
        "nameEn": "Measured", "descriptionEn": "For the benchmark.", "access": "open", "personalData": "none", "licence": "CC-BY-4.0",
        "cycle": "monthly", "delivery": "csv", "loadMode": "replace", "provenance": "inferred",
    }  # fmt: skip
    document = {
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": "do/ho-so", "name": "Đo", "version": "1.0.0", "status": "active", "domain": "do",
        "team": {"name": "DO"}, "description": {"purpose": "Để đo."},
        "schema": [{"name": "ho_so", "logicalType": "object", "properties": columns, "quality": rules}],
        "customProperties": [{"property": k, "value": v} for k, v in facts.items()],
    }  # fmt: skip
    (folder / "do").mkdir(parents=True)
    (folder / "agencies.yaml").write_text("DO: {name: Đo, nameEn: Measure, kind: so, email: '', phone: ''}\n", encoding="utf-8")
    (folder / "do/ho-so.odcs.yaml").write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), encoding="utf-8")


def make_file(file: Path, rows: int, share: float) -> Path:
    """Write the CSV; ``share`` of its rows are wrong, each in one of five ways."""
    every = round(1 / share) if share else 0
    # Spread over the file, and over the five ways.
    bad = f"hash(i * 7) % {every} = 0" if every else "false"
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT {COLUMNS.format(communes=COMMUNES)} FROM (SELECT i, {bad} AS bad FROM range({rows}) AS t(i))) TO {literal(file)} (FORMAT csv, HEADER)"
        )
    return file


GATE = """
import shutil
import sys
import time
from pathlib import Path
from pipelines.contract import load_register
from pipelines.intake import Intake
from pipelines.settings import Settings
from pipelines.ledger import Arrival, now
from pipelines.release import take
home, file, rows, wrong = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
shutil.rmtree(home / "var", ignore_errors=True)
intake = Intake(Settings(home / "datasets", home / "var"), load_register(home / "datasets"))
intake.prepare()
contract = intake.register.contracts["do/ho-so"]
start = time.perf_counter()
outcome = take(intake.store, intake.register, contract, Arrival(file, file.name, "0" * 64, now()), "bench")
print(time.perf_counter() - start)
assert outcome.rows_read == rows and (outcome.rows_quarantined > 0) == (wrong > 0), outcome
"""
DLT = """
import shutil
import sys
import time
import dlt
from pyarrow import csv
home = sys.argv[1]
shutil.rmtree(home, ignore_errors=True)

@dlt.resource(name="ho_so", primary_key="ma_ho_so", write_disposition="replace")
def rows():
    with csv.open_csv(sys.argv[2], csv.ReadOptions(block_size=64 << 20)) as batches:
        for batch in batches:
            yield batch

start = time.perf_counter()
pipeline = dlt.pipeline("large", pipelines_dir=home, destination=dlt.destinations.duckdb(home + "/dlt.duckdb"), dataset_name="do")
pipeline.run(rows(), loader_file_format="parquet")
print(time.perf_counter() - start)
"""
PLAIN = """
import sys, time, duckdb
from pathlib import Path
Path(sys.argv[1]).unlink(missing_ok=True)
start = time.perf_counter()
with duckdb.connect(sys.argv[1]) as connection:
    connection.execute("CREATE TABLE t AS FROM read_csv(?)", [sys.argv[2]])
print(time.perf_counter() - start)
"""


def measure(folder: Path) -> list[Figure]:
    """Ratios to plain DuckDB at three shares of bad rows, and memory; one run each."""
    home = folder / "large"
    register(home / "datasets")
    figures: list[Figure] = []
    for share in SHARES:
        file = make_file(folder / "large.csv", ROWS, share)
        plain = python_work(PLAIN, folder / "plain.duckdb", file)
        gate = python_work(GATE, home, file, ROWS, int(share > 0))
        what = f"gate to commit, {ROWS / 1e6:.0f} million rows × 12 columns, {100 * share:g} % bad ({file.stat().st_size / 1e9:.1f} GB CSV)"
        peer = "plain DuckDB, read_csv → CREATE TABLE, nothing checked"
        if share == 0:
            dlt = python_work(DLT, folder / "dlt", file)
        figures += [
            Figure(what, gate.seconds, "s", (1.5 if share == 0 else 2) * plain.seconds, peer, plain.seconds),
            Figure("… resident memory", gate.megabytes, "MB", 2000, peer, plain.megabytes),
        ]
        if share == 0:
            rival = "dlt into DuckDB by Arrow: types checked, no rules, no key"
            figures += [
                Figure("… the same", gate.seconds, "s", None, rival, dlt.seconds),
                Figure("… its memory", gate.megabytes, "MB", None, rival, dlt.megabytes),
            ]
    file.unlink()
    return figures


def measure_flat(folder: Path) -> list[Figure]:
    """Ten times the rows: memory must not grow with them."""
    home = folder / "largest"
    register(home / "datasets")
    file = make_file(folder / "largest.csv", LARGE, 0)
    gate = python_work(GATE, home, file, LARGE, 0)
    file.unlink()
    what = f"gate to commit, {LARGE / 1e6:.0f} million rows: resident memory"
    return [Figure(what, gate.megabytes, "MB", 2000, note=f"{gate.seconds:.0f} s")]
