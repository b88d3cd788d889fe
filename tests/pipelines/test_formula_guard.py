"""No cell of a CSV of ours runs as a formula, and the guard comes off exactly."""

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.formula_guard import guarded, risky, unguarded

connection = duckdb.connect()


def run(sql: str, text: str) -> str:
    row = connection.execute(f"SELECT {sql} FROM (SELECT ? AS x)", [text]).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"), ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"), ("-2+3+cmd", "'-2+3+cmd"),
        ("\t=1", "'\t=1"), ("\r=1", "'\r=1"), ("\n=1", "'\n=1"), ("＝1+1", "'＝1+1"),
        ("-5", "-5"), ("+84 912 345 678", "+84 912 345 678"), ("-1.234,5", "-1.234,5"), ("", ""), ("a=b", "a=b"), ("'tis", "'tis"),
        ("'=1", "''=1"), ("'-5", "''-5"),
    ],
)  # fmt: skip
def test_formulas_are_disarmed_and_numbers_are_not(text: str, written: str) -> None:
    assert run(guarded("x"), text) == written
    assert risky(text) == (text != written)


@given(st.one_of(st.text(), st.text(alphabet="'=+-@\t\n\r＝5 a", max_size=6)))
def test_the_guard_comes_off_exactly(text: str) -> None:
    text = text.replace("\0", "")
    written = run(guarded("x"), text)
    assert run(unguarded("x"), written) == text
    assert not (risky(written) and written[0] != "'"), "what is written never starts a formula"
