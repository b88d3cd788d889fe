"""No file, however broken or malicious, crashes a reader, hangs it or takes more memory than it is given."""

import gzip
import io
import json
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.gate.readers import SUFFIXES, Unreadable
from tests.pipelines.readers import contract, open_file

HEADER = "ma_to,loai,ten,tu_ngay,so_nguoi,ty_le\n"
PAGE = "Báo cáo\n\n" + HEADER + 'A,Xã,"Tổ, một",2023-01-01,5,1.5\nB,Phường,"Tổ\n""hai""",01/03/2023,7,2\nTổng cộng,,,,12,\nKý tên\n'
ROWS = [{"ma_to": "A", "x": {"loai": "Xã"}}, {"ma_to": "B", "x": None}]
XML = "<r><ds><to ma_to='1'><ten>Tổ</ten></to><to ma_to='2'/></ds></r>"


def zipped(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", content)
        archive.writestr("b.json", json.dumps(ROWS))
    return out.getvalue()


SEEDS = {
    "a.csv": PAGE.encode(),
    "b.csv": PAGE.encode("utf-16"),
    "a.json": json.dumps(ROWS).encode(),
    "a.jsonl": "\n".join(map(json.dumps, ROWS)).encode(),
    "b.json": json.dumps({"data": ROWS}).encode(),
    "a.geojson": json.dumps({"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": None}]}).encode(),
    "a.xml": XML.encode(),
    "a.zip": zipped(PAGE.encode()),
    "a.csv.gz": gzip.compress(PAGE.encode()),
}
TEXTS = {".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".geojson", ".geojsonl", ".xml", ".parquet"}


def opens_or_refuses(folder: Path, name: str, content: bytes) -> None:
    """Read to the last row, or a refusal in both languages; anything else is a fault of ours."""
    try:
        open_file(folder, name, content, contract(folder))
    except Unreadable as refused:
        assert refused.vi and refused.en
    except (duckdb.InvalidInputException, duckdb.ConversionException):
        pass  # damage met while the rows are read: the judgement turns it into a refusal


@given(name=st.sampled_from(sorted(SEEDS)), data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_damaged_files_are_read_or_refused(tmp_path: Path, name: str, data: st.DataObject) -> None:
    content = bytearray(SEEDS[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        action = data.draw(st.sampled_from(["cut", "put", "change"]))
        if action == "cut":
            del content[at : at + data.draw(st.integers(1, 30))]
        elif action == "put":
            content[at:at] = data.draw(st.binary(max_size=8) | st.sampled_from([b'"', b"\n", b"\x00", b"{", b"[", b"<", b",", b"\xff\xfe"]))
        elif at < len(content):
            content[at] = data.draw(st.integers(0, 255))
    opens_or_refuses(tmp_path, name, bytes(content))


@given(suffix=st.sampled_from(sorted(TEXTS)), content=st.binary(max_size=200))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_noise_is_read_or_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    assert suffix in SUFFIXES
    opens_or_refuses(tmp_path, f"a{suffix}", content)


MONSTERS = {
    "one endless line.csv": "out.truncate(1 << 30)",
    "an endless line under a header.csv": "out.write(b'ma_to,loai\\nA,B\\n' * 30000); out.truncate(1 << 30)",
    "an endless cell.csv": "out.write(b'ma_to,loai\\n\"A'); [out.write(b'x' * (1 << 20) + b'\\n') for _ in range(100)]",
    "quotes that never close.csv": "out.write(b'ma_to,loai\\n'); [out.write(b'\"A,\"b\"c,' * 200 + b'\\n') for _ in range(3000)]",
    "a quote opened on every line.csv": "out.write(b'ma_to,loai\\n' + b'A,\"x,\"y\\n' * 200000)",
    "ten thousand columns.csv": "out.write(b','.join(b'c%d' % i for i in range(10000)) + b'\\n' + b'1,' * 10000 + b'\\n')",
    "half a million blank lines.csv": "out.write(b'ma_to,loai\\n' + b'\\n' * 500000 + b'A,B\\n')",
    "nothing but delimiters.csv": "out.write(b',;|\\t' * 2000000)",
    "one endless string.json": "out.write(b'[{\"a\": \"' + b'x' * (64 << 20) + b'\"}]')",
    "a wrapper too large.json": "out.write(b'{\"data\": [{\"a\": 1}' + b',{\"a\": 1}' * 7500000 + b']}')",
    "one endless text.xml": "out.write(b'<a><b><c>' + b'x' * (64 << 20) + b'</c></b></a>')",
    "a million small rows.xml": "out.write(b'<a>' + b'<b><c>1</c></b>' * 300000 + b'</a>')",
}
CHILD = """
import sys
from pathlib import Path
from tests.pipelines.readers import contract, open_file
from pipelines.gate.readers import Unreadable, read
import duckdb
folder, name = Path(sys.argv[1]), sys.argv[2]
with duckdb.connect() as connection:
    connection.execute(f"SET temp_directory = '{folder}/spill/duckdb'; SET memory_limit = '700MB'")
    try:
        source = read(connection, folder / name, contract(folder))
        connection.execute(f"SELECT count(*) FROM {source.relation}").fetchall()
    except (Unreadable, duckdb.InvalidInputException, duckdb.OutOfMemoryException) as error:
        print(type(error).__name__, str(error)[:200])
"""


@pytest.mark.parametrize("name", sorted(MONSTERS))
def test_monsters_are_read_or_refused_within_bounds(tmp_path: Path, name: str) -> None:
    """In a process of its own, with memory and processor time that end it when it takes too much."""
    with (tmp_path / name).open("wb") as out:
        exec(MONSTERS[name], {"out": out})

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (3 << 30, 3 << 30))
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))

    done = subprocess.run([sys.executable, "-c", CHILD, str(tmp_path), name], preexec_fn=bounded, capture_output=True, text=True)
    (tmp_path / name).unlink()
    assert done.returncode == 0, done.stderr[-2_000:]
    assert "OutOfMemory" not in done.stdout
