"""The store's own expectations: each fault planted in deliveries is found, and nothing else is."""

import random
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.contract import InvalidRegister, load_register
from pipelines.quality import ExpectationResult, check_store
from pipelines.store import StoreMissing
from tests.warehouse import TEAMS, Warehouse, column, contract

TEAM = "ho-tich/to-cong-tac"
FIGURES = "ho-tich/so-lieu"
KINDS = ["Khai sinh", "Khai tử", "Kết hôn", "Giám hộ"]


def expectation(**said: object) -> dict:
    """An entry of `quality` with ``implementation`` = ``said``; `severity` is passed on."""
    severity = {"severity": said.pop("severity")} if "severity" in said else {}
    return {
        "name": str(said.pop("name", "ky_vong_rieng")), "description": said.pop("description", "Kỳ vọng của bộ này"), "type": "custom",
        "engine": "greatExpectations", "implementation": said,
    } | severity  # fmt: skip


def figures(quality: list | None = None, **facts: object) -> dict:
    columns = [
        column("ma", required=True, primaryKey=True),
        column("loai", values=KINDS),
        column("so", "integer"),
        column("ghi_chu"),
        column("ho_ten", semantic="ho_ten", personal="basic"),
    ]
    return contract(FIGURES, columns, quality=quality or [], **{"personalData": "basic", **facts})


def rows(count: int, seed: int = 0, weights: tuple[int, ...] = (4, 3, 2, 1), shift: int = 0, empty: float = 0.1, first: int = 0) -> str:
    chance = random.Random(seed)
    lines = [
        f"{n},{chance.choices(KINDS, weights)[0]},{chance.randint(0, 100) + shift},"
        f"{'' if chance.random() < empty else f'Ghi chú {n}'},{'' if chance.random() < empty else f'Nguyễn Văn {n}'}"
        for n in range(first, first + count)
    ]
    return "\n".join(["ma,loai,so,ghi_chu,ho_ten", *lines]) + "\n"


def deliver(warehouse: Warehouse, dataset: str, *contents: str, synthetic: bool = False) -> None:
    for content in contents:
        warehouse.drop(dataset, "giao.synthetic.csv" if synthetic else "giao.csv", content)
        warehouse.take(dataset)


def check(warehouse: Warehouse, dataset: str, now: datetime | None = None) -> dict[str, ExpectationResult]:
    intake = warehouse.intake()
    intake.prepare()
    try:
        return {r.name: r for r in check_store(intake.store, intake.register, [dataset], "run", now)}
    finally:
        intake.store.close()


def failing(results: dict[str, ExpectationResult]) -> dict[str, list[str]]:
    return {name: [f.subject for f in r.findings] for name, r in results.items() if r.passed is False}


def test_a_contract_without_an_entry_has_expectations_and_a_first_release_nothing_to_compare(warehouse: Warehouse) -> None:
    warehouse.add(figures())
    assert {r.passed for r in check(warehouse, FIGURES).values()} == {None}, "never delivered"
    deliver(warehouse, FIGURES, rows(200))
    results = check(warehouse, FIGURES)
    assert {name: r.passed for name, r in results.items()} == {
        "volume": None, "freshness": True, "null_share": None, "distinct_share": None, "mean": None, "psi": None,
    }  # fmt: skip
    assert {r.release for r in results.values()} == {1}


def test_without_a_store_nothing_is_checked(warehouse: Warehouse) -> None:
    intake = warehouse.intake()
    with pytest.raises(StoreMissing):
        check_store(intake.store, intake.register, [TEAM], "run")


def test_deliveries_that_differ_by_chance_alone_meet_every_expectation(warehouse: Warehouse) -> None:
    warehouse.add(figures())
    deliver(warehouse, FIGURES, *(rows(count, seed) for seed, count in enumerate((40, 60, 55, 45, 50))))
    assert {r.passed for r in check(warehouse, FIGURES).values()} == {True}


@pytest.mark.parametrize(
    ("last", "found"),
    [
        (rows(90, 9), {"volume": [""]}),
        (rows(500, 9), {"volume": [""]}),
        (rows(200, 9, shift=80), {"mean": ["so"]}),
        (rows(200, 9, weights=(1, 2, 3, 4)), {"psi": ["loai"]}),
        (rows(200, 9, empty=0.6), {"null_share": ["ghi_chu", "ho_ten"]}),
        (re.sub(r"Ghi chú \d+", "Như trên", rows(200, 9)), {"distinct_share": ["ghi_chu"]}),
    ],
    ids=["half is missing", "rows twice", "another unit", "another mix", "cells left empty", "one text everywhere"],
)
def test_each_planted_fault_is_found_and_nothing_else(warehouse: Warehouse, last: str, found: dict) -> None:
    warehouse.add(figures())
    deliver(warehouse, FIGURES, rows(190, 1), rows(210, 2), last)
    assert failing(check(warehouse, FIGURES)) == found


def test_limits_of_the_contract_replace_the_defaults(warehouse: Warehouse) -> None:
    limits = [
        expectation(expectation="volume", drop=None, growth=0.1),
        expectation(expectation="drift", psi=None, **{"except": ["so"]}),
    ]
    warehouse.add(figures(limits))
    deliver(warehouse, FIGURES, rows(200, 1), rows(60, 2, weights=(1, 2, 3, 4), shift=80))
    results = check(warehouse, FIGURES)
    assert not failing(results) and "psi" not in results
    deliver(warehouse, FIGURES, rows(160, 3))
    assert failing(check(warehouse, FIGURES)) == {"volume": [""]}


def test_synthetic_rows_are_no_measure_of_real_ones(warehouse: Warehouse) -> None:
    warehouse.add(figures())
    deliver(warehouse, FIGURES, rows(1000), synthetic=True)
    deliver(warehouse, FIGURES, rows(20, shift=500))
    results = check(warehouse, FIGURES)
    assert results["volume"].passed is None and results["mean"].passed is None


def test_where_deliveries_add_up_the_delivery_is_compared_and_no_row_may_go(warehouse: Warehouse) -> None:
    warehouse.add(figures(loadMode="append"))
    deliver(warehouse, FIGURES, *(rows(100, seed, first=100 * seed) for seed in range(4)))
    results = check(warehouse, FIGURES)
    assert results["volume"].passed and results["no_loss"].passed, "four times the rows of the first release are no growth"
    with warehouse.intake().store.transaction("by hand", {}) as connection:
        connection.execute("DELETE FROM ho_tich.so_lieu")
    deliver(warehouse, FIGURES, rows(100, 5))
    assert failing(check(warehouse, FIGURES)) == {"no_loss": [""]}


def test_a_delivery_is_late_after_its_cycle_and_grace(warehouse: Warehouse) -> None:
    deliver(warehouse, TEAM, "ma_to,loai\nA,Xã\n")
    now = datetime.now(UTC).replace(tzinfo=None)
    assert check(warehouse, TEAM, now + timedelta(days=40))["freshness"].passed
    late = check(warehouse, TEAM, now + timedelta(days=44))["freshness"]
    assert late.passed is False and 2 < late.findings[0].value < 4


def test_a_reference_that_names_nothing_is_found_and_an_undelivered_target_is_no_fault(warehouse: Warehouse) -> None:
    warehouse.add(contract("ho-tich/dia-ban", [column("ma_dia_ban", required=True, primaryKey=True)]))
    warehouse.add(
        contract(
            "ho-tich/can-bo",
            [
                column("ma", required=True, primaryKey=True),
                column("ma_to", references=f"{TEAM}.ma_to"),
                column("ma_dia_ban", references="ho-tich/dia-ban.ma_dia_ban"),
            ],
        )
    )
    deliver(warehouse, TEAM, "ma_to,loai\nA,Xã\nB,Xã\n")
    deliver(warehouse, "ho-tich/can-bo", "ma,ma_to,ma_dia_ban\n1,A,x\n2,B,x\n3,C,x\n4,,x\n")
    references = check(warehouse, "ho-tich/can-bo")["references"]
    assert references.passed is False and references.unmeasured == ("ma_dia_ban",)
    [finding] = references.findings
    assert finding.subject == "ma_to" and finding.value == pytest.approx(1 / 3)
    deliver(warehouse, TEAM, "ma_to,loai\nA,Xã\nB,Xã\nC,Xã\n")
    assert check(warehouse, "ho-tich/can-bo")["references"].passed


CUMULATIVE = [column("xa", required=True, primaryKey=True), column("thang", required=True, primaryKey=True), column("luy_ke", "integer")]


def test_a_cumulative_figure_never_falls_along_its_periods(warehouse: Warehouse) -> None:
    entry = expectation(name="luy_ke_tang", expectation="neverFalls", column="luy_ke", by=["xa"], along="thang")
    warehouse.add(contract(FIGURES, CUMULATIVE, quality=[entry]))
    deliver(warehouse, FIGURES, "xa,thang,luy_ke\nA,01,5\nA,02,\nA,03,7\nB,01,3\nB,02,3\n")
    assert check(warehouse, FIGURES)["luy_ke_tang"].passed
    deliver(warehouse, FIGURES, "xa,thang,luy_ke\nA,01,5\nA,02,\nA,03,4\nB,01,9\nB,02,3\nB,03,8\n")
    result = check(warehouse, FIGURES)["luy_ke_tang"]
    assert result.passed is False and [(f.subject, f.value) for f in result.findings] == [("luy_ke", 3)]
    assert result.vi == "Kỳ vọng của bộ này"


def test_a_cumulative_figure_starts_again_each_year(warehouse: Warehouse) -> None:
    entry = expectation(name="trong_nam", expectation="neverFalls", column="luy_ke", by=["xa"], along="thang", resets="yearly")
    warehouse.add(contract(FIGURES, CUMULATIVE, quality=[entry]))
    deliver(warehouse, FIGURES, "xa,thang,luy_ke\nA,202211,50\nA,202212,60\nA,202301,4\nA,202302,9\n")
    assert check(warehouse, FIGURES)["trong_nam"].passed
    deliver(warehouse, FIGURES, "xa,thang,luy_ke\nA,202211,50\nA,202212,60\nA,202301,4\nA,202302,3\n")
    assert failing(check(warehouse, FIGURES)) == {"trong_nam": ["luy_ke"]}


def test_a_cumulative_figure_never_falls_from_release_to_release(warehouse: Warehouse) -> None:
    entries = [
        expectation(name="tung_xa", expectation="neverFalls", column="luy_ke", by=["xa"]),
        expectation(name="toan_tinh", expectation="neverFalls", column="luy_ke"),
    ]
    warehouse.add(contract(FIGURES, CUMULATIVE, quality=entries))
    deliver(warehouse, FIGURES, "xa,thang,luy_ke\nA,01,5\nB,01,3\n")
    assert check(warehouse, FIGURES)["tung_xa"].passed is None
    deliver(warehouse, FIGURES, "xa,thang,luy_ke\nA,01,9\nB,01,2\n")
    results = check(warehouse, FIGURES)
    assert results["tung_xa"].passed is False and results["tung_xa"].findings[0].value == 1
    assert results["toan_tinh"].passed


def test_bounds_on_the_number_of_rows(warehouse: Warehouse) -> None:
    bound = {"name": "du_xa", "description": "Đủ các xã", "type": "library", "metric": "rowCount", "mustBeBetween": [2, 3]}
    warehouse.add(contract(TEAM, TEAMS["schema"][0]["properties"], quality=[bound]))
    deliver(warehouse, TEAM, "ma_to,loai\nA,Xã\nB,Xã\n")
    assert check(warehouse, TEAM)["du_xa"].passed
    deliver(warehouse, TEAM, "ma_to,loai\nA,Xã\n")
    assert failing(check(warehouse, TEAM)) == {"du_xa": [""]}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (expectation(expectation="volum"), "did you mean `volume`?"),
        (expectation(expectation=["volume"]), "names no expectation"),
        (expectation(expectation="volume", dropp=0.1), "did you mean `drop`?"),
        (expectation(expectation="volume", drop=3), "not a share between 0 and 1"),
        (expectation(expectation="drift", **{"except": ["loaj"]}), "did you mean `loai`?"),
        (expectation(expectation="drift", **{"except": "loai"}), "not a list of columns"),
        (expectation(expectation="freshness", days=3), "takes no arguments"),
        (expectation(expectation="neverFalls", by=["loai"]), "names no column"),
        (expectation(expectation="neverFalls", column="loai"), "is no number"),
        (expectation(expectation="neverFalls", column=["so_nguoi"]), "is no column"),
        (expectation(expectation="neverFalls", column="so_nguoi", resets="yearly"), "with `along: …`"),
        (expectation(expectation="neverFalls", column="so_nguoi", name="volume"), "names another expectation"),
        ({"name": "n", "description": "d", "type": "library", "metric": "rowCount"}, "rowCount has no bound"),
        ({"name": "n", "description": "d", "type": "library", "metric": "rowCount", "mustBe": "nhiều"}, "not a number of rows"),
        ({"description": "d", "type": "library", "metric": "rowCount", "mustBe": 3}, "the expectation's name"),
    ],
)
def test_a_mistake_in_the_contract_is_explained(warehouse: Warehouse, entry: dict, said: str) -> None:
    warehouse.add(contract(TEAM, TEAMS["schema"][0]["properties"], quality=[entry]))
    with pytest.raises(InvalidRegister) as caught:
        load_register(warehouse.settings.register)
    [problem] = caught.value.problems
    assert said in f"{problem.message} {problem.fix}" and problem.field.startswith("schema.0.quality.0")


def test_every_run_is_kept(warehouse: Warehouse) -> None:
    deliver(warehouse, TEAM, "ma_to,loai\nA,Xã\n")
    check(warehouse, TEAM)
    check(warehouse, TEAM)
    assert warehouse.rows("SELECT count(DISTINCT checked_at), bool_and(passed) FROM kho.expectations WHERE name = 'freshness'") == [
        (2, True)
    ]


def test_data_docs_have_a_page_per_run_that_needs_no_other_host_and_names_no_personal_column(warehouse: Warehouse) -> None:
    warehouse.add(figures([expectation(name="luy_ke", description="<b>$so</b> tăng", expectation="neverFalls", column="so")]))
    deliver(warehouse, FIGURES, rows(200, 1), rows(200, 2, empty=0.7))
    result = check(warehouse, FIGURES)["null_share"]
    site = warehouse.settings.quality / "docs"
    page = (site / result.page).read_text(encoding="utf-8")
    assert "Tỷ lệ ô trống của mỗi cột" in page and "ghi_chu: +" in page and "cột không công bố" in page and "ho_ten" not in page
    assert "nothing to compare yet" not in page and "None" not in re.sub("Data asset: None", "", page)
    assert "&lt;b&gt;$so&lt;/b&gt; tăng" in page, "a contract's words are text, never markup"
    files = [f for f in site.rglob("*") if f.is_file()]
    assert {f.suffix for f in files} == {".html", ".css"} and len(files) == 4, "index, suite, result, style"
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"(?i)(https?:)?//[a-z0-9.-]+\.[a-z]|<script|\sstyle=|\son\w+=|@import", text), file
        for link in re.findall(r'href="([^"#/][^"]*)"', text):
            assert (file.parent / link).resolve().is_file(), (file, link)


def test_old_pages_go_their_results_stay(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.quality.validation.KEPT_PAGES", 2)
    deliver(warehouse, TEAM, "ma_to,loai\nA,Xã\n")
    pages = [check(warehouse, TEAM)["volume"].page for _ in range(3)]
    assert [(warehouse.settings.quality / "docs" / page).exists() for page in pages] == [False, True, True]
    assert warehouse.rows("SELECT count(DISTINCT page) FROM kho.expectations") == [(3,)]


def test_an_expectation_that_cannot_run_is_an_error(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.quality import check as module
    from pipelines.quality.validation import ExpectationCannotRun

    deliver(warehouse, TEAM, "ma_to,loai\nA,Xã\n")
    measure = module.measure
    monkeypatch.setattr(module, "measure", lambda *arguments: measure(*arguments).drop_columns(["value"]))
    with pytest.raises(ExpectationCannotRun, match=TEAM):
        check(warehouse, TEAM)
    assert warehouse.rows("SELECT count(*) FROM kho.expectations") == [(0,)]


def test_great_expectations_is_not_imported_by_what_serves_or_defines() -> None:
    code = "import sys, catalog.cli, catalog.web, pipelines.orchestration.build; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
