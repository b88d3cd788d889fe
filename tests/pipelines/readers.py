"""A delivery opened by the gate's reader, seen from outside."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import yaml

from pipelines.contract import Contract, load_register
from pipelines.gate.readers import Source, read
from pipelines.sql import quote
from tests.warehouse import AGENCIES, SEMANTIC_TYPES, column
from tests.warehouse import contract as document

COLUMNS = [
    column("ma_to", title="Mã tổ", required=True, primaryKey=True),
    column("loai", title="Loại"),
    column("ten", title="Tên tổ"),
    column("tu_ngay", "date", title="Từ ngày"),
    column("so_nguoi", "integer", title="Số người", synonyms=["Nhân sự"]),
    column("ty_le", "number", title="Tỷ lệ"),
]
NAMES = [c["name"] for c in COLUMNS]


def contract(folder: Path, **reading: Any) -> Contract:
    """A contract of six columns; ``reading`` is what it pins."""
    register = folder / "register"
    register.mkdir(exist_ok=True)
    (register / "agencies.yaml").write_text(yaml.safe_dump(AGENCIES, allow_unicode=True), encoding="utf-8")
    (register / "semantic-types.yaml").write_text(yaml.safe_dump(SEMANTIC_TYPES, allow_unicode=True), encoding="utf-8")
    facts = {"reading": reading} if reading else {}
    file = register / "ho-tich" / "to.odcs.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(document("ho-tich/to", COLUMNS, **facts), allow_unicode=True, sort_keys=False), encoding="utf-8")
    return load_register(register).contracts["ho-tich/to"]


@dataclass
class Opened:
    """What came out: each row as {column: text}, with its number and fault; what was left out as (number, kind, text)."""

    source: Source
    rows: list[dict[str, str | None]]
    numbers: list[int]
    faults: list[str | None]
    left_out: list[tuple[int, str, str]]

    @property
    def kinds(self) -> list[tuple[int, str]]:
        return [(number, kind) for number, kind, _ in self.left_out]

    def column(self, name: str) -> list[str | None]:
        return [row[name] for row in self.rows]

    def decided(self, what: str) -> list[str]:
        return [d.value for d in self.source.decisions if d.what == what]


def open_file(folder: Path, name: str, content: str | bytes, of: Contract | None = None, **options: Any) -> Opened:
    """Write ``content`` to a file and read it. Raises what the reader raises."""
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with duckdb.connect() as connection:
        connection.execute(f"SET temp_directory = '{folder / 'spill' / 'duckdb'}'; SET memory_limit = '700MB'")
        source = read(connection, file, of, **options)
        extra = [quote(source.row) if source.row else "NULL", quote(source.fault) if source.fault else "NULL"]
        names = ", ".join([*map(quote, source.header), *extra])
        found = connection.execute(f"SELECT {names} FROM {source.relation}").fetchall()
        left_out = sorted(connection.execute(source.left_out).fetchall()) if source.left_out else []
        return Opened(
            source,
            [dict(zip(source.header, row, strict=False)) for row in found],
            [row[-2] if source.row else source.first_row + index for index, row in enumerate(found)],
            [row[-1] for row in found],
            left_out,
        )
