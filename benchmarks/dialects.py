"""How many spoilt files load as what they hold: the gate's reader against DuckDB's sniffer, the best published.

Run alone: `python -m benchmarks.dialects` prints which files each got wrong.
"""

import sys
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from benchmarks.measure import Figure
from benchmarks.polluted import COLUMNS, Case, Table, cases
from pipelines.contract import Contract, load_register
from pipelines.gate.headers import fold
from pipelines.gate.readers import Unreadable, read
from pipelines.sql import literal, quote

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: mot-cua/ho-so
name: Hồ sơ
version: 1.0.0
status: active
domain: mot-cua
team: {{name: VP}}
description: {{purpose: Để đo., usage: Để đo.}}
schema:
- name: ho_so
  logicalType: object
  properties:
{columns}
customProperties:
- {{property: nameEn, value: Dossiers}}
- {{property: descriptionEn, value: For the benchmark.}}
- {{property: access, value: open}}
- {{property: licence, value: CC-BY-4.0}}
- {{property: personalData, value: none}}
- {{property: cycle, value: monthly}}
- {{property: delivery, value: csv}}
- {{property: loadMode, value: replace}}
- {{property: provenance, value: inferred}}
"""
SNIFFED = "read_csv({file}, all_varchar = true)"
LENIENT = "read_csv({file}, all_varchar = true, strict_mode = false, null_padding = true, ignore_errors = true)"
"""The options that DuckDB's own report on the Pollock benchmark recommends for dirty files."""


def contract(folder: Path) -> Contract:
    """The contract of the benchmark's table, in a register of its own."""
    columns = "\n".join(
        f"  - {{name: {name}, businessName: {title}, description: {title}, logicalType: {kind}, required: {str(i == 0).lower()}, "
        f"primaryKey: {str(i == 0).lower()}, customProperties: [{{property: titleEn, value: {name}}}]}}"
        for i, (name, title, kind) in enumerate(COLUMNS)
    )
    file = folder / "mot-cua" / "ho-so.odcs.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(CONTRACT.format(columns=columns), encoding="utf-8")
    (folder / "agencies.yaml").write_text("VP: {name: Văn phòng, nameEn: Office, kind: so, email: '', phone: '1022'}\n", encoding="utf-8")
    (folder / "semantic-types.yaml").write_text("{}\n", encoding="utf-8")
    return load_register(folder).contracts["mot-cua/ho-so"]


@dataclass(frozen=True)
class Loaded:
    header: list[str]
    rows: Table


def with_contract(file: Path, of: Contract) -> Loaded:
    """The rows that the gate's reader takes for sound."""
    with duckdb.connect() as connection:
        source = read(connection, file, of)
        names = ", ".join(quote(h) for h in source.header)
        sound = f" WHERE {quote(source.fault)} IS NULL" if source.fault else ""
        return Loaded(source.header, _texts(connection.execute(f"SELECT {names} FROM {source.relation}{sound}").fetchall()))


def by_duckdb(file: Path, form: str) -> Loaded:
    """The rows that DuckDB reads, dialect and header sniffed."""
    with duckdb.connect() as connection:
        result = connection.execute(f"SELECT * FROM {form.format(file=literal(file))}")
        return Loaded([d[0] for d in result.description], _texts(result.fetchall()))


def _texts(rows: list[tuple[object, ...]]) -> Table:
    return [["" if cell is None else unicodedata.normalize("NFC", str(cell).strip()) for cell in row] for row in rows]


def right(case: Case, loaded: Loaded) -> bool:
    """Whether each column is under its own name (accents aside, in any order) and the rows are the truth, no more and no fewer."""
    known = {fold(title): place for place, (_, title, _) in enumerate(COLUMNS)} | {fold(n): p for p, (n, _, _) in enumerate(COLUMNS)}
    places = [known.get(fold(name)) for name in loaded.header]
    if Counter(p for p in places if p is not None) != Counter(range(len(COLUMNS))):
        return False
    at = [places.index(p) for p in range(len(COLUMNS))]
    return Counter(tuple(row[i] for i in at) for row in loaded.rows) == Counter(tuple(c.strip() for c in row) for row in case.truth)


def score(folder: Path) -> dict[str, dict[str, bool]]:
    """Kind of file → reader → whether it got the file right."""
    of = contract(folder / "register")
    readers: dict[str, Callable[[Path], Loaded]] = {
        "kho": lambda file: with_contract(file, of),
        "duckdb": lambda file: by_duckdb(file, SNIFFED),
        "duckdb, lenient": lambda file: by_duckdb(file, LENIENT),
    }
    found: dict[str, dict[str, bool]] = {}
    for case in cases():
        file = folder / case.name
        file.write_bytes(case.content)
        found[case.kind] = {}
        for name, load in readers.items():
            try:
                found[case.kind][name] = right(case, load(file))
            except (duckdb.Error, Unreadable, UnicodeError):
                found[case.kind][name] = False
    return found


def measure(folder: Path) -> list[Figure]:
    found = score(folder / "dialects")
    wrong = {name: sum(not verdicts[name] for verdicts in found.values()) for name in ("kho", "duckdb", "duckdb, lenient")}
    what = f"spoilt delimited files read wrongly, of {len(found)} kinds"
    return [
        Figure(what, wrong["kho"], "files", 1, "DuckDB's sniffer", wrong["duckdb"]),
        Figure("… the same", wrong["kho"], "files", None, "DuckDB's sniffer, lenient options", wrong["duckdb, lenient"]),
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        for kind, verdicts in score(Path(name)).items():
            print(f"{kind:60}", *(f"{reader} {'right' if ok else 'WRONG'}" for reader, ok in verdicts.items()), sep="  ")
    sys.exit()
