"""How held rows are closed without a fix sheet: a newer delivery takes their place, or a steward sets them aside."""

import duckdb

from pipelines.contract import Contract
from pipelines.ledger import now
from pipelines.outcome import Outcome
from pipelines.sql import quote
from pipelines.store import Store

BY_HAND = "steward"
"""What `closed_by` says of rows that a person set aside; else it names a delivery."""


def supersede(
    connection: duckdb.DuckDBPyConnection, contract: Contract, outcome: Outcome, accepted: str | None, period: str | None
) -> None:
    """Close the open rows of earlier deliveries whose place this one takes. Inside the load's transaction.

    * The same bytes judged again, and what corrected them: always; their faults are this delivery's now.
    * `replace`: all earlier ones, once this one is released: it holds the whole table.
    * `snapshot`: those of the periods that this one holds.
    * `append`, `merge`: none. Their rows are not in this delivery; each waits until it is mended or set aside.
    """
    earlier = """
        WITH RECURSIVE same(delivery_id) AS (
            SELECT delivery_id FROM kho.ledger WHERE dataset = $dataset AND sha256 = $sha256
            UNION
            SELECT l.delivery_id FROM kho.ledger AS l JOIN same ON l.corrects = same.delivery_id
        )
        SELECT delivery_id FROM same
    """
    place = f"delivery_id IN ({earlier})"
    if accepted and contract.load_mode == "replace":
        place = "true"
    elif accepted and period:
        # A period is delivered as it is stored, but for dates, which are mostly written the Vietnamese way.
        x, shown = quote(period), f"""json_extract_string(cells, '$."{period}"')"""
        dated = contract.by_name[period].type in ("date", "timestamp")
        texts = [f"CAST({x} AS VARCHAR)", *([f"strftime({x}, '%d/%m/%Y')", f"strftime({x}, '%-d/%-m/%Y')"] if dated else [])]
        held = " OR ".join(f"{shown} IN (SELECT DISTINCT {text} FROM ({accepted}))" for text in texts)
        place = f"({place} OR {held})"
    values = {"by": outcome.delivery_id, "at": now(), "dataset": outcome.dataset}
    connection.execute(
        f"""
        UPDATE kho.held_rows SET closed_by = $by, closed_at = $at
        WHERE dataset = $dataset AND closed_at IS NULL AND delivery_id <> $by AND {place}
        """,
        values | ({"sha256": outcome.sha256} if "$sha256" in place else {}),
    )


def set_aside(store: Store, dataset: str, delivery_id: str) -> int:
    """A steward decides that the open rows of a delivery are not wanted; how many there were. `reopen` takes it back.

    Here and there the beginning of the delivery's id is enough.
    """
    return _mark(store, dataset, delivery_id, "closed_at IS NULL", BY_HAND)


def reopen(store: Store, dataset: str, delivery_id: str) -> int:
    """Open again what was set aside by hand; how many rows. What a delivery closed stays closed: its rows are in a release."""
    return _mark(store, dataset, delivery_id, f"closed_by = '{BY_HAND}'", None)


def _mark(store: Store, dataset: str, delivery_id: str, which: str, by: str | None) -> int:
    what = "set aside" if by else "reopened"
    place = f"dataset = ? AND starts_with(delivery_id, ?) AND {which}"
    with store.transaction(f"{dataset}: rows {what}", {"dataset": dataset, "delivery": delivery_id}) as connection:
        row = connection.execute(f"SELECT count(*) FROM kho.held_rows WHERE {place}", [dataset, delivery_id]).fetchone()
        connection.execute(
            f"UPDATE kho.held_rows SET closed_by = ?, closed_at = ? WHERE {place}",
            [by, now() if by else None, dataset, delivery_id],
        )
    return int(row[0]) if row else 0
