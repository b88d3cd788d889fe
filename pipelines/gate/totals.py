"""Totals that a file states, held against the sum of its rows: what a clerk added up is the best check of what we read."""

from dataclasses import dataclass
from decimal import Decimal

import duckdb

from pipelines.gate.forms import Form
from pipelines.gate.readers.source import Total
from pipelines.gate.scan import ROW, SHEET, Scan
from pipelines.gate.units import factor, scaled
from pipelines.gate.values import cast, raw
from pipelines.outcome import Reason
from pipelines.sql import literal, quote


@dataclass(frozen=True)
class Disagreement:
    """A total of the file that its rows do not add up to."""

    total: Total
    column: str
    stated: Decimal
    summed: Decimal

    @property
    def reason(self) -> Reason:
        vi = f"Dòng {self.total.row_number} ghi tổng {self.total.text}, cộng các hàng được {self.summed:f}"
        en = f"Row {self.total.row_number} states a total of {self.total.text}; its rows add up to {self.summed:f}"
        return Reason("total_mismatch", self.column, 1, vi, en)

    @staticmethod
    def sql(found: list["Disagreement"]) -> str:
        """The disagreements in the layout of marks."""
        values = ", ".join(
            f"({d.total.row_number}, {literal(d.column)}, {literal(d.total.text)}, 'total_mismatch', {literal(d.reason.vi)}, "
            f"{literal(d.reason.en)}, 'contradiction')"
            for d in found
        )
        return f"SELECT * FROM (VALUES {values}) AS totals(row_number, column_name, value, rule, reason_vi, reason_en, error_group)"


def disagreements(connection: duckdb.DuckDBPyConnection, scan: Scan, rows: str) -> list[Disagreement]:
    """Totals that differ from the sum of the rows that they cover, held back or not.

    ``rows`` is SQL of the staged rows. A total is not judged where a value under it could not be read.
    A difference that rounding of the shown decimals explains is none.
    """
    names = {delivered: column for column, delivered in scan.columns.items()}
    found = []
    number = ROW if scan.source.row else f"file_row_number + {scan.source.first_row}"
    sheet = f" AND {SHEET} = ?" if scan.source.sheet else ""
    for total in scan.source.totals:
        column = scan.contract.by_name.get(names.get(total.column, ""))
        if column is None or column.type not in ("integer", "number"):
            continue
        value = cast(column, scan.forms.get(column.name, Form(".")))
        value = scaled(value, times, column) if (times := factor(scan.source.unit, column)) != 1 else value
        unread = " OR ".join(
            f"{b.mask} & {b.value} <> 0"
            for b in scan.faults
            if b.test.column == column.name and b.test.rule in ("type", "ambiguous_number")
        )
        answer = connection.execute(
            f"""
            SELECT (SELECT CAST({value} AS DECIMAL(38, 6)) FROM (SELECT ? AS {raw(column.name)})),
                   sum(CAST({quote(column.name)} AS DECIMAL(38, 6))),
                   count(*) FILTER ({unread or "false"})
            FROM {rows}
            WHERE {number} BETWEEN ? AND ?{sheet}
            """,
            [total.text, total.first_row, total.last_row, *([total.sheet] if sheet else [])],
        ).fetchone()
        assert answer is not None
        stated, summed, broken = answer
        if stated is None or summed is None or broken:
            continue
        shown = (
            len(total.text.rpartition(",")[2].rpartition(".")[2]) if column.type == "number" and any(m in total.text for m in ".,") else 0
        )
        slack = Decimal(0) if column.type == "integer" else Decimal("0.5") / 10**shown
        if abs(stated - summed) > slack:
            found.append(Disagreement(total, column.name, stated.normalize(), summed.normalize()))
    return found
