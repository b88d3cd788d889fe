"""What became of an expectation: rows of `kho.expectations`, one per expectation and run, kept for ever."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import duckdb

from pipelines.quality.expectations import TABLE, Kind, Unit


@dataclass(frozen=True)
class Finding:
    """A value out of bounds: of a column, or of the whole dataset where ``subject`` is `TABLE`."""

    subject: str
    value: float
    unit: Unit

    @property
    def text(self) -> str:
        """The value as people read it: shares as per cent, days and counts whole."""
        if self.unit in ("share", "change"):
            return f"{self.value:+.1%}" if self.unit == "change" else f"{self.value:.2%}"
        return f"{self.value:.2f}" if self.unit in ("psi", "deviations") else f"{self.value:,.0f}"

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}" if self.subject != TABLE else self.text


@dataclass(frozen=True)
class ExpectationResult:
    """``passed`` is None where nothing could be measured; ``unmeasured`` names the columns of which that is true."""

    dataset: str
    release: int | None
    name: str
    kind: Kind
    passed: bool | None
    blocking: bool
    findings: tuple[Finding, ...]
    unmeasured: tuple[str, ...]
    vi: str
    en: str
    page: str
    """Where Data Docs show it, below the site's root."""


ADVICE: dict[Kind, tuple[str, str]] = {
    "volume": (
        "Đợt giao gần nhất có thể thiếu tệp, thiếu đơn vị hoặc bị nhân đôi. Đối chiếu số hàng với cơ quan giao; nếu thiếu, giao lại đủ.",
        "The newest delivery may lack files or units, or hold rows twice. Compare the count with the agency; deliver again if rows are missing.",
    ),
    "freshness": (
        "Đã quá hạn theo chu kỳ cam kết. Nhắc cơ quan chủ quản giao dữ liệu; nếu chu kỳ đã đổi, sửa `cycle` hoặc `latency` trong hợp đồng.",
        "The promised cycle has passed. Remind the owner to deliver; if the cycle has changed, correct `cycle` or `latency` in the contract.",
    ),
    "drift": (
        "Giá trị của cột khác hẳn các phiên bản trước: kiểm tra đơn vị tính, bộ lọc khi trích xuất, cột bị hoán đổi. "
        "Nếu thay đổi là thật, nới giới hạn hoặc thêm cột vào `except`.",
        "The column's values differ greatly from earlier releases: check units, the extract's filter, swapped columns. "
        "If the change is real, widen the limit or put the column under `except`.",
    ),
    "references": (
        "Có mã không tìm thấy trong bộ dữ liệu đích: bổ sung mã vào bộ đích hoặc sửa mã trong bộ này rồi giao lại.",
        "Some codes are not in the dataset they refer to: add them there, or correct them here and deliver again.",
    ),
    "rowCount": (
        "Số hàng nằm ngoài giới hạn ghi trong hợp đồng: kiểm tra đợt giao, hoặc sửa giới hạn nếu thực tế đã đổi.",
        "The number of rows is outside the contract's bounds: check the delivery, or correct the bounds if reality has changed.",
    ),
    "neverFalls": (
        "Số lũy kế bị giảm: thường do sửa số kỳ trước hoặc nhập số trong kỳ thay cho lũy kế. Xác minh với cơ quan rồi giao lại.",
        "A cumulative figure fell: mostly an earlier period was corrected, or a period's own figure was entered. Verify, then deliver again.",
    ),
}
"""What a failure means and what to do, Vietnamese and English."""


@dataclass(frozen=True)
class QualityRun:
    """One run over one dataset: how many expectations were met, and not."""

    checked_at: datetime
    release: int | None
    met: int
    failed: int
    page: str


def write_results(connection: duckdb.DuckDBPyConnection, results: list[ExpectationResult], run_id: str, checked_at: datetime) -> None:
    """Add the results of one run to the history."""
    import pyarrow as pa

    rows: list[dict[str, Any]] = [
        asdict(r)
        | {
            "run_id": run_id,
            "checked_at": checked_at,
            "findings": json.dumps([asdict(f) for f in r.findings], ensure_ascii=False),
            "unmeasured": json.dumps(r.unmeasured),
        }
        for r in results
    ]
    connection.register("result_rows", pa.Table.from_pylist(rows))
    connection.execute("INSERT INTO kho.expectations BY NAME SELECT * FROM result_rows")
    connection.unregister("result_rows")


def latest_results(connection: duckdb.DuckDBPyConnection, snapshot: int) -> dict[str, tuple[ExpectationResult, ...]]:
    """The newest results of every dataset as of a snapshot, in the order in which they were checked."""
    rows = connection.execute(
        f"""
        SELECT dataset, release, name, kind, passed, blocking, findings, unmeasured, vi, en, page
        FROM kho.expectations AT (VERSION => {int(snapshot)})
        QUALIFY checked_at = max(checked_at) OVER (PARTITION BY dataset)
        """
    ).fetchall()
    found: dict[str, list[ExpectationResult]] = {}
    for dataset, release, name, kind, passed, blocking, findings, unmeasured, vi, en, page in rows:
        outside = tuple(Finding(**finding) for finding in json.loads(findings))
        found.setdefault(dataset, []).append(
            ExpectationResult(dataset, release, name, kind, passed, blocking, outside, tuple(json.loads(unmeasured)), vi, en, page)
        )
    return {dataset: tuple(results) for dataset, results in found.items()}


def past_runs(connection: duckdb.DuckDBPyConnection, snapshot: int, most: int) -> dict[str, tuple[QualityRun, ...]]:
    """The newest ``most`` runs of every dataset as of a snapshot, newest first."""
    rows = connection.execute(
        f"""
        SELECT
            dataset, checked_at, any_value(release),
            count(*) FILTER (WHERE passed), count(*) FILTER (WHERE NOT passed), any_value(page)
        FROM kho.expectations AT (VERSION => {int(snapshot)})
        GROUP BY dataset, checked_at
        QUALIFY row_number() OVER (PARTITION BY dataset ORDER BY checked_at DESC) <= {int(most)}
        ORDER BY dataset, checked_at DESC
        """
    ).fetchall()
    runs: dict[str, list[QualityRun]] = {}
    for dataset, *run in rows:
        runs.setdefault(dataset, []).append(QualityRun(*run))
    return {dataset: tuple(many) for dataset, many in runs.items()}
