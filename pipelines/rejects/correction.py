"""A fix sheet taken in: only its rows are judged, only they are loaded, and what they mend is closed.

A sheet never overwrites what came later. A row whose key a newer delivery has brought is held as a conflict; of a delivery that a
newer one replaced there is nothing left to mend. Where the delivery was refused whole, its right rows were never loaded: they are
judged again from the archive and come in together with the mended ones, once few enough wrong rows are left.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from pipelines import archive
from pipelines.contract import Contract
from pipelines.gate import Judgement, judge
from pipelines.gate.forms import form_of
from pipelines.gate.readers import Source
from pipelines.gate.thresholds import refusal_reasons
from pipelines.outcome import Reason
from pipelines.rejects.corrected import Corrected, find_corrected
from pipelines.rejects.submitted import FixSheet
from pipelines.sql import literal, quote, quote_name
from pipelines.store import Store

SHOWN_ROWS = 10


@dataclass(frozen=True)
class Correction:
    """What a fix sheet does to the table. ``judgement`` counts the sheet's rows; its row numbers are the sheet's."""

    delivery_id: str
    """The delivery that is corrected; empty when the sheet names none that is known."""
    judgement: Judgement
    adds: bool = True
    """Its rows are added to the current table; else ``judgement.accepted`` is a whole delivery, loaded like any other."""
    synthetic: bool = False
    """Whether the corrected delivery was synthetic; then the mended rows are too, whatever the sheet is called."""
    rows: tuple[int, ...] = ()
    """Rows of the corrected delivery that the sheet takes over: accepted now, or held on as the sheet's own."""

    @property
    def moot(self) -> bool:
        """Nothing of the corrected delivery waits any more."""
        return any(r.rule == "nothing_open" for r in self.judgement.reasons)

    def load(self, connection: duckdb.DuckDBPyConnection, contract: Contract) -> None:
        """Put the mended rows into the table; by `merge`, in place of the older row of the same key."""
        table, names = quote_name(contract.schema, contract.table), ", ".join(quote(c.name) for c in contract.columns)
        if contract.load_mode == "merge":
            same = " AND ".join(f"{table}.{quote(k)} = mended.{quote(k)}" for k in contract.key)
            connection.execute(f"DELETE FROM {table} USING ({self.judgement.accepted}) AS mended WHERE {same}")
        connection.execute(f"INSERT INTO {table} ({names}) {self.judgement.accepted}")

    def close(self, connection: duckdb.DuckDBPyConnection, by: str, at: datetime) -> None:
        """Close the corrected delivery's rows: the sheet's delivery answers for them now."""
        if self.rows:
            connection.execute(
                """
                UPDATE kho.held_rows SET closed_by = ?, closed_at = ?
                WHERE delivery_id = ? AND closed_at IS NULL AND list_contains(?, row_number)
                """,
                [by, at, self.delivery_id, list(self.rows)],
            )


def correct(store: Store, contract: Contract, sheet: FixSheet, staging: Path) -> Correction:
    """Judge a fix sheet. ``staging`` is a folder of its own, to be kept until the correction is used.

    What cannot be taken is a refusal with its reason. Raises `FileNotFoundError` when the archive lost the corrected delivery.
    """
    if sheet.dataset != contract.id:
        return _refused(
            "other_dataset",
            f"Tệp sửa lỗi này của bộ dữ liệu {sheet.dataset}, không phải của {contract.id}",
            f"This fix sheet belongs to {sheet.dataset}, not to {contract.id}",
        )
    with store.reader() as connection:
        corrected = find_corrected(connection, contract, sheet.sha256)
    if corrected is None:
        return _refused(
            "unknown_delivery",
            "Kho không biết đợt giao mà tệp này sửa",
            "The warehouse does not know the delivery that this sheet corrects",
        )
    if not corrected.open_rows:
        return _refused(
            "nothing_open",
            "Không còn hàng nào của đợt giao ấy chờ sửa: đã sửa xong, hoặc đã có đợt giao mới thay thế",
            "No row of that delivery waits any more: all are mended, or a newer delivery took its place",
            corrected.delivery_id,
        )
    if not corrected.loaded and corrected.overtaken:
        return _refused(
            "overtaken",
            "Đợt giao bị từ chối ấy đã cũ: kho đã nhận đợt mới hơn. Hãy gửi lại cả tệp đã sửa như một đợt giao mới",
            "That refused delivery is out of date: a newer one was accepted. Send the whole mended file as a new delivery",
            corrected.delivery_id,
        )
    rows = sheet.rows.with_columns(
        (pl.col("row_number").is_in(list(corrected.open_rows)) & pl.col("row_number").is_first_distinct()).fill_null(False).alias("_taken")
    )
    strange = rows.filter(~pl.col("_taken"))["sheet_row"].to_list()
    rows = rows.filter("_taken")
    if rows.is_empty():
        return _refused(
            "no_rows",
            "Tệp không có hàng nào của đợt giao đang chờ sửa",
            "The sheet holds no row of the delivery that waits",
            corrected.delivery_id,
        )
    correction = _judged(store, contract, corrected, sheet.columns, rows, staging)
    judgement = _with_strange(correction.judgement, strange) if strange else correction.judgement
    return replace(correction, judgement=judgement, synthetic=corrected.synthetic)


def _refused(rule: str, vi: str, en: str, delivery_id: str = "") -> Correction:
    return Correction(delivery_id, Judgement(0, 0, 0, (Reason(rule, "", 1, vi, en),), None))


def _with_strange(judgement: Judgement, sheet_rows: list[int]) -> Judgement:
    """Rows that are not open rows of the delivery are no corrections: left out, and said."""
    shown = ", ".join(map(str, sheet_rows[:SHOWN_ROWS])) + ("…" if len(sheet_rows) > SHOWN_ROWS else "")
    reason = Reason(
        "not_a_correction", "", len(sheet_rows),
        f"Hàng {shown} của tệp không phải hàng đang chờ sửa (hàng thêm mới, chép lặp hoặc đã sửa rồi): không nhận",
        f"Rows {shown} of the sheet are no rows that wait (added, copied, or mended before): not taken",
    )  # fmt: skip
    values = ", ".join(f"({int(row)}, 'not_a_correction', '')" for row in sheet_rows)
    return replace(
        judgement,
        reasons=(*judgement.reasons, reason),
        left_out=f"SELECT * FROM (VALUES {values}) AS left_out(row_number, kind, text)",
        rows_left_out=len(sheet_rows),
    )


def _judged(store: Store, contract: Contract, corrected: Corrected, columns: list[str], rows: pl.DataFrame, staging: Path) -> Correction:
    mended = staging / "mended.parquet"
    rows.select("sheet_row", *columns).write_parquet(mended)
    lenient = _lenient(contract)
    source = Source(f"read_parquet({literal(mended)})", columns, first_row=1, row="sheet_row", unit=corrected.unit)
    known = {c.name: form for c in contract.columns if (form := form_of(corrected.decisions, c.name))}
    with store.gate_connection() as gate:
        judgement = replace(judge(gate, lenient, mended, staging / "sheet", source=source, known=known), whole=None)
        if judgement.accepted is None:
            # Nothing is mended: the rows go on waiting under the delivery that they came in.
            return Correction(corrected.delivery_id, replace(judgement, held=None))
        base = None if corrected.loaded else judge(gate, lenient, _archived(store, contract, corrected), staging / "base").accepted
    conflicts = _conflicts(store, contract, corrected, judgement, base)
    judgement = _without(judgement, contract, conflicts)
    if judgement.accepted is None:
        return Correction(corrected.delivery_id, replace(judgement, held=None))
    taken = tuple(rows["row_number"].to_list())
    if corrected.loaded:
        return Correction(corrected.delivery_id, judgement, rows=taken)
    still_wrong = len(corrected.open_rows) - judgement.rows_accepted
    if refusals := refusal_reasons(contract, corrected.rows_read, still_wrong, {}):
        refused = replace(judgement, accepted=None, rows_accepted=0, held=None, marks=None, reasons=(*refusals, *judgement.reasons))
        return Correction(corrected.delivery_id, refused, adds=False)
    whole = f"{base} UNION ALL BY NAME {judgement.accepted}" if base else judgement.accepted
    return Correction(corrected.delivery_id, replace(judgement, accepted=whole), adds=False, rows=taken)


def _lenient(contract: Contract) -> Contract:
    """The contract for a sheet of our own: no share of wrong rows refuses it, nothing about the agency's files applies."""
    reading = replace(
        contract.reading, delimiter=None, quote=None, encoding=None, header_row=None, by_position=False, sheets=(), sheet_column=None,
        group_column=None,
    )  # fmt: skip
    return replace(contract, threshold=1.0, columns=tuple(replace(c, threshold=None) for c in contract.columns), reading=reading)


def _archived(store: Store, contract: Contract, corrected: Corrected) -> Path:
    with store.reader() as connection:
        row = connection.execute("SELECT sha256 FROM kho.ledger WHERE delivery_id = ?", [corrected.delivery_id]).fetchone()
    file = archive.find(store.settings.archive, row[0] if row else "", Path(corrected.file_name).suffix.lower())
    if not file.exists():
        raise FileNotFoundError(f"{contract.id}: the archive holds no {file.name}, which a fix sheet corrects")
    return file


def _conflicts(store: Store, contract: Contract, corrected: Corrected, judgement: Judgement, base: str | None) -> list[int]:
    """Sheet rows whose key is taken: by a row of the delivery itself, or by one that came since."""
    keys = [quote(k) for k in contract.key]
    same = " AND ".join(f"t.{k} = n.{k}" for k in keys)
    if not corrected.loaded:
        if base is None:
            return []
        taken = f"({base}) AS t WHERE {same}"
    else:
        taken = f"{quote_name(contract.schema, contract.table)} AS t WHERE {same}"
        if contract.load_mode == "merge":  # an older row of the same key is what a merge replaces
            taken += f" AND t.snapshot_id >= {corrected.snapshot}"
    with store.reader() as connection:
        rows = connection.execute(f"SELECT row_number FROM ({judgement.numbered}) AS n WHERE EXISTS (FROM {taken}) ORDER BY ALL").fetchall()
    return [row[0] for row in rows]


def _without(judgement: Judgement, contract: Contract, conflicts: list[int]) -> Judgement:
    """The judgement with the conflicting rows held instead of accepted."""
    names = ", ".join(quote(c.name) for c in contract.columns)
    if not conflicts:
        return replace(judgement, accepted=f"SELECT {names} FROM ({judgement.numbered})")
    listed = ", ".join(map(str, conflicts))
    accepted: str | None = f"SELECT {names} FROM ({judgement.numbered}) WHERE row_number NOT IN ({listed})"
    vi = "Khóa này đã có trong kho từ đợt giao ấy hoặc đợt mới hơn: không ghi đè"
    en = "The warehouse holds this key already, from that delivery or a newer one: not overwritten"
    key = ", ".join(contract.key)
    shown = " || ' · ' || ".join(f"coalesce(CAST({quote(k)} AS VARCHAR), '')" for k in contract.key)
    chosen = f"FROM ({judgement.numbered}) WHERE row_number IN ({listed})"
    cells = ", ".join(f"{quote(c.name)}: CAST({quote(c.name)} AS VARCHAR)" for c in contract.columns)
    quarantine = f"""
        SELECT row_number, {literal(key)} AS column_name, {shown} AS value, 'conflict' AS rule, {literal(vi)} AS reason_vi,
               {literal(en)} AS reason_en, 'duplicate' AS error_group {chosen}
    """
    held = f"SELECT row_number, CAST({{{cells}}} AS JSON) AS cells {chosen}"
    if judgement.rows_accepted == len(conflicts):
        accepted = None
    return replace(
        judgement,
        rows_accepted=judgement.rows_accepted - len(conflicts),
        rows_quarantined=judgement.rows_quarantined + len(conflicts),
        reasons=(Reason("conflict", key, len(conflicts), vi, en), *judgement.reasons),
        accepted=accepted,
        quarantine=_both(judgement.quarantine, quarantine),
        held=_both(judgement.held, held),
    )


def _both(one: str | None, other: str) -> str:
    return f"({one}) UNION ALL BY NAME ({other})" if one else other
