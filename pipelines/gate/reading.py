"""A delivery as a relation of text columns, whatever its format. Types come from the contract, never from a guess."""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from dataclasses import dataclass
from pathlib import Path

import duckdb
import fastexcel
import pyarrow as pa
from lxml import etree

from pipelines.sql import literal, quote

SUFFIXES = {".csv", ".tsv", ".txt", ".xlsx", ".xlsm", ".xls", ".xlsb", ".ods", ".json", ".xml", ".geojson"}
XML_BATCH = 10_000


class Unreadable(Exception):
    """The file cannot be read as what its name says; ``vi`` and ``en`` say why."""

    def __init__(self, vi: str, en: str) -> None:
        self.vi, self.en = vi, en
        super().__init__(en)

    @classmethod
    def because_of(cls, error: Exception, file: Path) -> "Unreadable":
        """What a reader's error means to the sender."""
        if "not utf-8 encoded" in str(error):
            return cls(
                "Tệp không theo bảng mã UTF-8; trong Excel hãy lưu kiểu «CSV UTF-8»",
                "The file is not in UTF-8; in Excel, save it as “CSV UTF-8”",
            )
        # The first line alone: the next may quote rows. Where the warehouse keeps the file is not for the page.
        first = str(error).strip().splitlines()[0].replace(str(file), "…").replace(file.name, "…")[:300]
        return cls(f"Không đọc được tệp: {first}", f"The file cannot be read: {first}")


@dataclass(frozen=True)
class Source:
    """``relation`` is SQL that yields the delivery's columns as text, in the delivery's order."""

    relation: str
    header: list[str]
    first_row: int
    """Row number, as the sender sees it, of the first row of data."""


def read(connection: duckdb.DuckDBPyConnection, file: Path) -> Source:
    """Open a delivery. Raises `Unreadable` when it is empty, damaged or of a kind that is not known."""
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise Unreadable(
            f"Không đọc được tệp loại {suffix or '(không đuôi)'}; hãy gửi một trong: {', '.join(sorted(SUFFIXES))}",
            f"Files of type {suffix or '(none)'} are not read; send one of: {', '.join(sorted(SUFFIXES))}",
        )
    if file.stat().st_size == 0:
        raise Unreadable("Tệp rỗng", "The file is empty")
    try:
        if suffix in (".csv", ".tsv", ".txt"):
            return _csv(connection, file)
        if suffix == ".json":
            return _json(connection, file)
        if suffix == ".geojson":
            return _geojson(connection, file)
        if suffix == ".xml":
            return _xml(connection, file)
        return _spreadsheet(connection, file)
    except duckdb.OutOfMemoryException:
        raise  # the machine's trouble, not the sender's
    except (duckdb.Error, fastexcel.FastExcelError, etree.XMLSyntaxError, UnicodeDecodeError) as error:
        raise Unreadable.because_of(error, file) from error


def _header(connection: duckdb.DuckDBPyConnection, relation: str) -> list[str]:
    return [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()]


def _csv(connection: duckdb.DuckDBPyConnection, file: Path) -> Source:
    # The quote is given: a stray quote otherwise makes the sniffer choose none, and two-line records break.
    with file.open("rb") as lines:
        first = lines.readline()
    encoding = "utf-16" if first.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8"
    delimiter = max((",", ";", "\t", "|"), key=lambda d: first.count(d.encode()))
    relation = f"""
        read_csv({literal(file)}, all_varchar = true, header = true, delim = {literal(delimiter)}, quote = '"', escape = '"',
                 null_padding = true, strict_mode = false, parallel = true, encoding = {literal(encoding)})
    """
    relation = relation.replace("null_padding = true, ", "") if file.stat().st_size > 50_000_000 else relation
    return Source(relation, _header(connection, relation), first_row=2)


def _json(connection: duckdb.DuckDBPyConnection, file: Path) -> Source:
    scan = f"read_json({literal(file)}, format = 'auto', sample_size = 2048, convert_strings_to_integers = false, dateformat = '%Y~%m~%d', timestampformat = '%Y~%m~%d')"
    header = _header(connection, scan)
    if header == ["json"]:
        raise Unreadable("JSON phải là một danh sách đối tượng", "The JSON must be a list of objects")
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in header)
    relation = f"read_json({literal(file)}, format = 'auto', columns = {{{columns}}})"
    return Source(relation, header, first_row=1)


def _geojson(connection: duckdb.DuckDBPyConnection, file: Path) -> Source:
    """Features as rows: each property a column, the geometry as GeoJSON text in the column `geometry`."""
    # The whole file is one JSON object, and DuckDB sets aside twice that size per thread.
    size = max(file.stat().st_size + 1, 1 << 20)
    features = f"""
        (SELECT unnest(features) AS feature
         FROM read_json({literal(file)}, columns = {{features: 'JSON[]'}}, maximum_object_size = {size}))
    """
    keys = connection.execute(f"SELECT DISTINCT unnest(json_keys(feature, '$.properties')) AS k FROM {features} ORDER BY k").fetchall()
    if not keys:
        raise Unreadable("GeoJSON không có đối tượng nào", "The GeoJSON holds no features")
    header = [k for (k,) in keys]
    columns = ", ".join(f"feature -> 'properties' ->> {literal(name)} AS {quote(name)}" for name in header)
    relation = f"(SELECT {columns}, CAST(feature -> 'geometry' AS VARCHAR) AS geometry FROM {features})"
    return Source(relation, [*header, "geometry"], first_row=1)


def _xml(connection: duckdb.DuckDBPyConnection, file: Path) -> Source:
    """The children of the root are rows, their children columns. Entities are not resolved, nothing is fetched."""
    names: dict[str, None] = {}
    batches: list[list[dict[str, str | None]]] = [[]]
    depth = 0
    events = etree.iterparse(str(file), events=("start", "end"), resolve_entities=False, no_network=True, huge_tree=False)
    for event, element in events:
        depth += 1 if event == "start" else -1
        if event == "end" and depth == 1:
            row = {etree.QName(child).localname: child.text for child in element if isinstance(child.tag, str)}
            names.update(dict.fromkeys(row))
            if len(batches[-1]) == XML_BATCH:
                batches.append([])
            batches[-1].append(row)
            element.clear()
    if not names:
        raise Unreadable("XML không có hàng nào", "The XML holds no rows")
    schema = pa.schema([(name, pa.string()) for name in names])
    table = pa.Table.from_batches([pa.RecordBatch.from_pylist(rows, schema=schema) for rows in batches if rows], schema)
    return _arrow(connection, table, first_row=1)


def _spreadsheet(connection: duckdb.DuckDBPyConnection, file: Path) -> Source:
    # Every cell as text: codes keep their leading zeros, dates come as ISO text, whatever the cell's own type.
    sheet = fastexcel.read_excel(file).load_sheet(0, header_row=0, dtypes="string")
    if sheet.height == 0 and not sheet.available_columns():
        raise Unreadable("Trang tính đầu tiên rỗng", "The first sheet is empty")
    return _arrow(connection, pa.Table.from_batches([sheet.to_arrow()]), first_row=2)


def _arrow(connection: duckdb.DuckDBPyConnection, table: pa.Table, first_row: int) -> Source:
    connection.register("delivery", table)
    return Source("delivery", table.column_names, first_row)
