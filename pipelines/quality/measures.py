"""Metric frames: DuckDB computes, from committed data and history, the figures that expectations are about.

One row per dataset, subject (a column, or the whole dataset) and measure; ``label`` is the subject as others may see it. A figure that cannot be had — no earlier
release, a referenced dataset that was never delivered — is NULL: the expectation then says that nothing was measured.
"""

from collections.abc import Iterator
from datetime import datetime

import duckdb
import pyarrow as pa

from pipelines.contract import Column, Contract, Register
from pipelines.contract.model import NeverFalls
from pipelines.profile import EXACT_UP_TO, is_category
from pipelines.sql import quote, quote_name

EARLIER = 5
"""Earlier releases that the newest one is compared with."""

CHANCE = 3.29
"""A difference counts as one beyond this many standard errors: chance alone exceeds it once in a thousand times."""

UNPUBLISHED = "cột không công bố / unpublished column"
"""What Data Docs call a column with personal data: its figures are no one's but the store's."""

ENOUGH = 30
"""Filled values from which a figure of a column can be compared: of fewer, mean and deviation say little."""

SKETCH_ERROR = 0.13
"""Standard error of DuckDB's count of different values beyond `EXACT_UP_TO` rows (64 registers: 1.04 / √64)."""

RARE = 0.05
"""Values below this share, before and now, are counted together: an index over hundreds of rare values is mostly noise."""

FRAME = pa.schema([("dataset", pa.string()), ("subject", pa.string()), ("measure", pa.string()), ("value", pa.float64())])

COMPARED = f"""
    -- the newest release and the earlier ones it is compared with: synthetic rows are no measure of real ones
    WITH released AS (
        SELECT ledger.dataset, delivery_id, release, synthetic, received_at, rows_accepted, rows_total, load_mode, promised_days
        FROM kho.ledger
        JOIN promises USING (dataset)
        WHERE release IS NOT NULL
        QUALIFY synthetic = first(synthetic) OVER (PARTITION BY ledger.dataset ORDER BY release DESC)
    )
    SELECT *, row_number() OVER (PARTITION BY dataset ORDER BY release DESC) - 1 AS age
    FROM released
    QUALIFY age <= {EARLIER}
"""

TABLE_MEASURES = """
    WITH sized AS (
        SELECT
            *,
            -- where deliveries add up, the delivery is what can be compared; else the whole table
            CASE WHEN load_mode IN ('append', 'snapshot') THEN rows_accepted ELSE rows_total END AS size
        FROM compared
    ),
    facts AS (
        SELECT
            dataset,
            (max(rows_total) FILTER (WHERE age = 0))::DOUBLE AS rows,
            (max(size) FILTER (WHERE age = 0) / nullif(median(size) FILTER (WHERE age > 0), 0) - 1)::DOUBLE AS volume,
            (max(rows_total) FILTER (WHERE age = 1) - max(rows_total) FILTER (WHERE age = 0))::DOUBLE AS rows_lost,
            epoch($now::TIMESTAMP - max(received_at) FILTER (WHERE age = 0)) / 86400 - any_value(promised_days) AS days_late
        FROM sized
        GROUP BY dataset
    )
    SELECT dataset, '' AS subject, measure, value
    FROM facts UNPIVOT INCLUDE NULLS (value FOR measure IN (rows, volume, rows_lost, days_late))
"""

SHAPES = f"""
    -- figures of each watched column: of the newest release, and of the earlier ones together
    SELECT
        dataset,
        column_name,
        any_value(watched.is_key) AS is_key,
        any_value(watched.is_category) AS is_category,
        sum(rows) FILTER (WHERE age = 0) AS n,
        sum(rows) FILTER (WHERE age > 0) AS m,
        sum(nulls) FILTER (WHERE age = 0) / nullif(n, 0) AS nulls_now,
        sum(nulls) FILTER (WHERE age > 0) / nullif(m, 0) AS nulls_before,
        sum(rows - nulls) FILTER (WHERE age = 0) AS filled_now,
        median(rows - nulls) FILTER (WHERE age > 0) AS filled_before,
        max(distinct_count) FILTER (WHERE age = 0) / nullif(filled_now, 0) AS distinct_now,
        median(distinct_count / nullif(rows - nulls, 0)) FILTER (WHERE age > 0) AS distinct_before,
        max(mean) FILTER (WHERE age = 0) AS mean_now,
        sum(mean * (rows - nulls)) FILTER (WHERE age > 0) / nullif(sum(rows - nulls) FILTER (WHERE age > 0 AND mean IS NOT NULL), 0)
            AS mean_before,
        sqrt(greatest(
            sum((deviation ** 2 + mean ** 2) * (rows - nulls)) FILTER (WHERE age > 0)
                / nullif(sum(rows - nulls) FILTER (WHERE age > 0 AND mean IS NOT NULL), 0)
            - mean_before ** 2,
            0
        )) AS deviation_before,
        sum(rows - nulls) FILTER (WHERE age > 0) AS filled_all_before
    FROM kho.profile
    JOIN compared USING (dataset, delivery_id)
    JOIN watched USING (dataset, column_name)
    GROUP BY dataset, column_name
    HAVING least(n, m) >= {ENOUGH}
"""

COLUMN_MEASURES = f"""
    WITH differences AS (
        SELECT
            *,
            nulls_now - nulls_before AS null_move,
            (nulls_now * n + nulls_before * m) / (n + m) AS nulls_pooled,
            distinct_now - distinct_before AS distinct_move,
            -- a deviation of next to nothing is what adding up leaves of a constant
            CASE WHEN deviation_before > 1e-9 * abs(mean_before) THEN (mean_now - mean_before) / deviation_before END AS mean_move,
            CASE WHEN greatest(n, m) > {EXACT_UP_TO} THEN {SKETCH_ERROR} ELSE 0 END AS sketch
        FROM shapes
    )
    -- a move that chance explains is none: small deliveries differ without anything having changed
    SELECT
        dataset, column_name AS subject, 'null_share' AS measure,
        CASE
            WHEN abs(null_move) <= {CHANCE} * sqrt(nulls_pooled * (1 - nulls_pooled) * (1 / n + 1 / m)) THEN 0
            ELSE null_move
        END AS value
    FROM differences
    UNION ALL
    SELECT
        dataset, column_name, 'distinct_share',
        -- a longer table repeats more: shares are comparable between tables of about one length
        CASE
            WHEN filled_now NOT BETWEEN filled_before / 1.5 AND filled_before * 1.5 THEN NULL
            WHEN abs(distinct_move) <= {CHANCE} * sqrt(
                0.25 * (1 / filled_now + 1 / filled_before) + sketch ** 2 * (distinct_now ** 2 + distinct_before ** 2)
            ) THEN 0
            ELSE distinct_move
        END
    FROM differences
    WHERE NOT is_key AND NOT is_category
    UNION ALL
    SELECT
        dataset, column_name, 'mean',
        CASE
            WHEN least(filled_now, filled_all_before) < {ENOUGH} THEN NULL
            WHEN abs(mean_move) <= {CHANCE} * sqrt(1 / filled_now + 1 / filled_all_before) THEN 0
            ELSE mean_move
        END
    FROM differences
    WHERE mean_now IS NOT NULL
"""

STABILITY = f"""
    -- population stability index of each closed list, half a row added to every count so that none is zero
    WITH counted AS (
        SELECT dataset, column_name, age, unnest(categories) AS category, unnest(counts) AS rows
        FROM kho.profile
        JOIN compared USING (dataset, delivery_id)
        JOIN watched USING (dataset, column_name)
        WHERE is_category
    ),
    single AS (
        SELECT
            dataset, column_name, category,
            coalesce(sum(rows) FILTER (WHERE age = 0), 0) AS now,
            coalesce(sum(rows) FILTER (WHERE age > 0), 0) AS before
        FROM counted
        GROUP BY ALL
    ),
    weighed AS (
        SELECT
            *,
            greatest(
                now / nullif(sum(now) OVER (PARTITION BY dataset, column_name), 0),
                before / nullif(sum(before) OVER (PARTITION BY dataset, column_name), 0)
            ) AS weight
        FROM single
    ),
    mixes AS (
        SELECT
            dataset, column_name,
            CASE WHEN weight >= {RARE} THEN category END AS category,
            sum(now) AS now,
            sum(before) AS before
        FROM weighed
        GROUP BY ALL
    ),
    shares AS (
        SELECT
            *,
            count(*) OVER list AS k,
            sum(now) OVER list AS n,
            sum(before) OVER list AS m,
            (now + 0.5) / (n + 0.5 * k) AS p,
            (before + 0.5) / (m + 0.5 * k) AS q
        FROM mixes
        WINDOW list AS (PARTITION BY dataset, column_name)
    ),
    indices AS (
        SELECT
            dataset, column_name,
            any_value(k) - 1 AS freedom,
            any_value(n) AS n,
            any_value(m) AS m,
            sum((p - q) * ln(p / q)) AS psi
        FROM shares
        GROUP BY dataset, column_name
    )
    SELECT
        dataset, column_name AS subject, 'psi' AS measure,
        CASE
            WHEN least(n, m) < {ENOUGH} THEN NULL
            WHEN freedom = 0 THEN 0
            -- without a change the index is about chi-squared × (1/n + 1/m); its 99.9 % point after Wilson and Hilferty
            WHEN psi <= freedom * (1 - 2 / (9 * freedom) + 3.09 * sqrt(2 / (9 * freedom))) ** 3 * (1 / n + 1 / m) THEN 0
            ELSE psi
        END AS value
    FROM indices
"""


def measure(connection: duckdb.DuckDBPyConnection, register: Register, contracts: list[Contract], now: datetime) -> pa.Table:
    """The metric frame of these datasets as of one snapshot, columns as in `FRAME`. ``now`` is UTC."""
    connection.execute("BEGIN TRANSACTION")  # one snapshot for all figures
    try:
        connection.register("promises", _promises(contracts))
        connection.register("watched", _watched(contracts))
        connection.execute(f"CREATE OR REPLACE TEMP TABLE compared AS {COMPARED}")
        connection.execute(f"CREATE OR REPLACE TEMP TABLE shapes AS {SHAPES}")
        parts = [
            connection.execute(TABLE_MEASURES, {"now": now}).to_arrow_table(),
            connection.execute(COLUMN_MEASURES).to_arrow_table(),
            connection.execute(STABILITY).to_arrow_table(),
        ]
        rows = [*_references(connection, register, contracts), *_falls(connection, contracts)]
        parts.append(pa.Table.from_pylist([dict(zip(FRAME.names, row, strict=True)) for row in rows], schema=FRAME))
        frame = pa.concat_tables(part.cast(FRAME) for part in parts)
    finally:
        connection.execute("ROLLBACK")
    hidden = {(c.id, x.name) for c in contracts for x in c.columns if x.personal != "none"}
    subjects = zip(frame["dataset"].to_pylist(), frame["subject"].to_pylist(), strict=True)
    labels = [UNPUBLISHED if (dataset, subject) in hidden else subject for dataset, subject in subjects]
    return frame.append_column("label", pa.array(labels, pa.string()))


def _promises(contracts: list[Contract]) -> pa.Table:
    return pa.table(
        {
            "dataset": [c.id for c in contracts],
            "load_mode": [c.load_mode for c in contracts],
            "promised_days": pa.array([c.promised_within.days if c.promised_within else None for c in contracts], pa.int64()),
        }
    )


def _watched(contracts: list[Contract]) -> pa.Table:
    """The columns whose drift is watched."""
    columns = [(c.id, x) for c in contracts for x in c.columns if x.name not in c.expectations.drift_except]
    return pa.table(
        {
            "dataset": [dataset for dataset, _ in columns],
            "column_name": [x.name for _, x in columns],
            "is_key": [bool(x.key) for _, x in columns],
            "is_category": [is_category(x) for _, x in columns],
        }
    )


def _references(
    connection: duckdb.DuckDBPyConnection, register: Register, contracts: list[Contract]
) -> Iterator[tuple[str, str, str, float | None]]:
    """Of each column that refers to another dataset, the share of filled values that are not there."""
    released = {
        dataset for (dataset,) in connection.execute("SELECT DISTINCT dataset FROM kho.ledger WHERE release IS NOT NULL").fetchall()
    }
    for contract in contracts:
        for column in contract.columns:
            if column.references is None:
                continue
            target, key = column.references
            measurable = {contract.id, target} <= released
            yield (
                contract.id,
                column.name,
                "unmatched",
                _unmatched(connection, contract, column, register.contracts[target], key) if measurable else None,
            )


def _unmatched(connection: duckdb.DuckDBPyConnection, contract: Contract, column: Column, target: Contract, key: str) -> float | None:
    row = connection.execute(
        f"""
        SELECT count(*) FILTER (WHERE found IS NULL) / nullif(count(*), 0)
        FROM (SELECT CAST({quote(column.name)} AS VARCHAR) AS value FROM {quote_name(contract.schema, contract.table)}) AS own
        LEFT JOIN (
            SELECT DISTINCT CAST({quote(key)} AS VARCHAR) AS found FROM {quote_name(target.schema, target.table)}
        ) AS other ON own.value = other.found
        WHERE value IS NOT NULL
        """
    ).fetchone()
    return row[0] if row else None


def _falls(connection: duckdb.DuckDBPyConnection, contracts: list[Contract]) -> Iterator[tuple[str, str, str, float | None]]:
    """How many times each cumulative figure fell."""
    for contract in contracts:
        for figure in contract.expectations.never_falls:
            count = _falls_along if figure.along else _falls_between_releases
            yield contract.id, figure.column, f"falls:{figure.name}", count(connection, contract, figure)


def _falls_along(connection: duckdb.DuckDBPyConnection, contract: Contract, figure: NeverFalls) -> float | None:
    value, period = quote(figure.column), quote(str(figure.along))
    groups = [quote(column) for column in figure.by]
    if figure.resets:
        # dates (2023-06-30) and periods (202306, 2023) alike begin with the year, then the month
        groups.append(f"left(replace(CAST({period} AS VARCHAR), '-', ''), {4 if figure.resets == 'yearly' else 6})")
    partition = f"PARTITION BY {', '.join(groups)}" if groups else ""
    row = connection.execute(
        f"""
        SELECT count(*) FILTER (WHERE {value} < reached), count(*)
        FROM (
            SELECT {value}, max({value}) OVER ({partition} ORDER BY {period} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
            FROM {quote_name(contract.schema, contract.table)}
        )
        """
    ).fetchone()
    return float(row[0]) if row and row[1] else None


def _falls_between_releases(connection: duckdb.DuckDBPyConnection, contract: Contract, figure: NeverFalls) -> float | None:
    """Combinations of ``by`` whose sum is lower than in the release before; None without one that had these columns."""
    before = connection.execute(
        """
        SELECT snapshot_id
        FROM lake.snapshots()
        WHERE json_extract_string(commit_extra_info, '$.delivery') = (SELECT delivery_id FROM compared WHERE dataset = ? AND age = 1)
        """,
        [contract.id],
    ).fetchone()
    if before is None:
        return None
    table = quote_name(contract.schema, contract.table)
    version = f"AT (VERSION => {int(before[0])})"
    had = {name for name, *_ in connection.execute(f"DESCRIBE SELECT * FROM {table} {version}").fetchall()}
    if not {figure.column, *figure.by} <= had:
        return None
    key = f"[{', '.join(map(quote, figure.by)) or 'NULL'}]::VARCHAR[]"  # lists are equal also where they hold NULL
    sums = f"SELECT {key} AS key, sum({quote(figure.column)}) AS total FROM {table}"
    row = connection.execute(
        f"""
        SELECT count(*) FILTER (WHERE coalesce(now.total, 0) < earlier.total)
        FROM ({sums} {version} GROUP BY ALL) AS earlier
        LEFT JOIN ({sums} GROUP BY ALL) AS now ON earlier.key = now.key
        """
    ).fetchone()
    return float(row[0]) if row else None
