"""Every wrong value of a delivery as a plain list, for those who mend at the source with tools of their own."""

import codecs
from pathlib import Path

import pyarrow.csv

from pipelines.formula_guard import guarded
from pipelines.rejects.reading import OpenDelivery, Quarantine
from pipelines.sql import quote

BATCH_ROWS = 50_000
TEXTS = ("column_name", "value", "rule", "error_group", "reason_vi", "reason_en")


def write_list(quarantine: Quarantine, delivery: OpenDelivery, file: Path) -> int:
    """Write the open rows' faults as CSV (UTF-8 with the mark that Excel wants, formulas disarmed); how many lines."""
    texts = ", ".join(f"{guarded(quote(name))} AS {quote(name)}" for name in TEXTS)
    faults = quarantine.connection.execute(
        f"SELECT row_number, {texts} FROM {quarantine.open_faults} ORDER BY ALL", [delivery.delivery_id]
    ).to_arrow_reader(BATCH_ROWS)
    lines = 0
    with file.open("wb") as sink:
        sink.write(codecs.BOM_UTF8)
        with pyarrow.csv.CSVWriter(sink, faults.schema) as writer:
            for batch in faults:
                writer.write_batch(batch)
                lines += batch.num_rows
    return lines
