"""JSON, GeoJSON and XML: rows inside a document."""

from pathlib import Path

import duckdb
import pyarrow as pa
from lxml import etree

from pipelines.gate.readers.source import Source, Unreadable, header_of, of_arrow
from pipelines.sql import literal, quote

XML_BATCH = 10_000


def read_json(connection: duckdb.DuckDBPyConnection, file: Path) -> Source:
    scan = f"read_json({literal(file)}, format = 'auto', sample_size = 2048, convert_strings_to_integers = false, dateformat = '%Y~%m~%d', timestampformat = '%Y~%m~%d')"
    header = header_of(connection, scan)
    if header == ["json"]:
        raise Unreadable("JSON phải là một danh sách đối tượng", "The JSON must be a list of objects")
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in header)
    relation = f"read_json({literal(file)}, format = 'auto', columns = {{{columns}}})"
    return Source(relation, header, first_row=1, plain=True)


def read_geojson(connection: duckdb.DuckDBPyConnection, file: Path) -> Source:
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
    return Source(relation, [*header, "geometry"], first_row=1, plain=True)


def read_xml(connection: duckdb.DuckDBPyConnection, file: Path) -> Source:
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
    return of_arrow(connection, table, first_row=1)
