"""The delivery that a fix sheet corrects: what the ledger and the held rows say of it, and what came after it."""

import json
from dataclasses import dataclass

import duckdb

from pipelines.contract import Contract
from pipelines.gate.readers import Decision


@dataclass(frozen=True)
class Corrected:
    """The delivery that a sheet corrects, as the ledger has it."""

    delivery_id: str
    outcome: str
    file_name: str
    rows_read: int
    synthetic: bool
    decisions: tuple[Decision, ...]
    """How its columns wrote numbers and dates: a few mended rows could not say it again."""
    open_rows: frozenset[int]
    loaded: bool
    """Whether its right rows are in the store: by its own release, or by that of a fix sheet."""
    overtaken: bool
    """Whether another delivery was released since."""
    snapshot: int
    """The state of the store in which the first delivery of the chain was judged."""

    @property
    def unit(self) -> str | None:
        """The unit that its title stated for figures, where it is not the contract's."""
        stated = [d.value.partition(" × ")[0] for d in self.decisions if d.what.endswith(": unit")]
        return stated[0] if stated else None


def find_corrected(connection: duckdb.DuckDBPyConnection, contract: Contract, sha256: str) -> Corrected | None:
    """The newest judgement of the bytes ``sha256``; None when the dataset was never delivered them with faults."""
    found = connection.execute(
        """
        SELECT delivery_id, outcome, file_name, rows_read, synthetic, reading, finished_at FROM kho.ledger
        WHERE dataset = ? AND sha256 = ? AND outcome IN ('partial', 'refused') ORDER BY finished_at DESC LIMIT 1
        """,
        [contract.id, sha256],
    ).fetchone()
    if found is None:
        return None
    delivery_id, outcome, file_name, rows_read, synthetic, reading, finished_at = found
    waiting = connection.execute(
        """
        SELECT row_number FROM kho.held_rows WHERE delivery_id = ? AND closed_at IS NULL
        GROUP BY row_number HAVING count(*) = 1
        """,
        [delivery_id],
    ).fetchall()
    later = connection.execute(
        """
        SELECT coalesce(bool_or(corrects = $delivery), false), coalesce(bool_or(corrects IS DISTINCT FROM $delivery), false)
        FROM kho.ledger WHERE dataset = $dataset AND release IS NOT NULL AND finished_at > $at
        """,
        {"delivery": delivery_id, "dataset": contract.id, "at": finished_at},
    ).fetchone()
    by_sheet, by_other = later or (False, False)
    first = connection.execute(
        """
        WITH RECURSIVE chain(delivery_id, corrects) AS (
            SELECT delivery_id, corrects FROM kho.ledger WHERE delivery_id = $1
            UNION
            SELECT l.delivery_id, l.corrects FROM kho.ledger AS l JOIN chain ON l.delivery_id = chain.corrects
        )
        SELECT min(snapshot_id) FROM lake.snapshots()
        WHERE json_extract_string(commit_extra_info, '$.delivery') IN (SELECT delivery_id FROM chain)
        """,
        [delivery_id],
    ).fetchone()
    return Corrected(
        delivery_id, outcome, file_name, rows_read, synthetic, tuple(Decision(**d) for d in json.loads(reading or "[]")),
        frozenset(row[0] for row in waiting),
        loaded=outcome == "partial" or by_sheet, overtaken=by_other, snapshot=int(first[0]) if first and first[0] is not None else 0,
    )  # fmt: skip
