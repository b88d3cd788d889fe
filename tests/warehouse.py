"""A small warehouse in a temporary folder: what most tests start from."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import yaml

from pipelines.contract import load_register
from pipelines.intake import Intake
from pipelines.outcome import Outcome
from pipelines.settings import PROJECT, Settings

AGENCIES = {
    "STP": {"name": "Sở Tư pháp", "nameEn": "Department of Justice", "kind": "so", "email": "", "phone": "1022"},
    "SYT": {"name": "Sở Y tế", "nameEn": "Department of Health", "kind": "so", "email": "", "phone": "1022"},
}
SEMANTIC_TYPES = {
    "ky_thang": {"vi": "Kỳ tháng", "en": "Month", "type": "string", "pattern": "[12][0-9]{3}(0[1-9]|1[0-2])", "example": "202306"},
    "mst": {"vi": "Mã số thuế", "en": "Tax code", "type": "string", "pattern": "[0-9]{10}(-[0-9]{3})?|[0-9]{12}", "check": "mst"},
    "ho_ten": {"vi": "Họ và tên", "en": "Full name", "type": "string", "maxLength": 100, "personal": "basic"},
}


def column(name: str, kind: str = "string", **fields: Any) -> dict[str, Any]:
    """A column as ODCS writes it; ``semantic``, ``personal``, ``values`` and other options by keyword."""
    properties = [{"property": "titleEn", "value": name}]
    for key, prop in (("semantic", "semanticType"), ("personal", "personalData"), ("synonyms", "synonyms"), ("sample", "sample")):
        if key in fields:
            properties.append({"property": prop, "value": fields.pop(key)})
    made = {"name": name, "businessName": fields.pop("title", name), "description": name, "logicalType": kind}
    if values := fields.pop("values", None):
        made["quality"] = [{"type": "library", "metric": "invalidValues", "arguments": {"validValues": values}, "mustBe": 0}]
    if to := fields.pop("references", None):
        dataset, _, target = to.partition(".")
        table = dataset.rpartition("/")[2].replace("-", "_")
        made["relationships"] = [{"type": "foreignKey", "to": f"../{dataset}.odcs.yaml#/schema/{table}/properties/{target}"}]
    return made | fields | {"customProperties": properties}


def contract(dataset: str, columns: list[dict[str, Any]], **facts: Any) -> dict[str, Any]:
    """A contract as ODCS writes it; properties such as ``access`` and ``loadMode`` by keyword."""
    domain, table = dataset.split("/")
    properties = {
        "nameEn": dataset, "descriptionEn": "For a test.", "access": "open", "personalData": "none", "licence": "CC-BY-4.0",
        "cycle": "monthly", "delivery": "csv", "loadMode": "replace", "provenance": "inferred", "quarantineThreshold": 0.5,
    }  # fmt: skip
    quality = facts.pop("quality", [])
    title = facts.pop("title", dataset)
    properties |= facts
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": dataset,
        "name": title,
        "version": "1.0.0",
        "status": "active",
        "domain": domain,
        "team": {"name": properties.pop("agency", "STP")},
        "description": {"purpose": "Để kiểm thử.", "usage": "Kiểm thử."},
        "schema": [{"name": table.replace("-", "_"), "logicalType": "object", "properties": columns, "quality": quality}],
        "customProperties": [{"property": k, "value": v} for k, v in properties.items()],
    }


def rule(name: str, condition: str) -> dict[str, Any]:
    return {"name": name, "description": f"Sai: {condition}", "type": "custom", "engine": "kho", "implementation": condition}


def group_rule(name: str, per: list[str], **said: Any) -> dict[str, Any]:
    return rule(name, f"{per}") | {"implementation": {"perGroup": per, **said}}


TEAMS = contract(
    "ho-tich/to-cong-tac",
    [
        column("ma_to", title="Mã tổ", required=True, primaryKey=True),
        column("loai", title="Loại", values=["Xã", "Phường"]),
        column("tu_ngay", "date", title="Từ ngày"),
        column("den_ngay", "date", title="Đến ngày"),
        column("so_nguoi", "integer", title="Số người", logicalTypeOptions={"minimum": 0, "maximum": 100}),
        column("ty_le", "number", title="Tỷ lệ"),
    ],
    quality=[rule("thu_tu_ngay", "den_ngay >= tu_ngay")],
)


def with_real_types(warehouse: "Warehouse") -> None:
    """The semantic types, code lists and place of the register that ships."""
    root, real = warehouse.settings.register, PROJECT / "datasets"
    (root / "semantic-types.yaml").write_bytes((real / "semantic-types.yaml").read_bytes())
    (root / "register.yaml").write_bytes((real / "register.yaml").read_bytes())
    shutil.copytree(real / "code-lists", root / "code-lists")
    (root / "to-chuc-can-bo").mkdir()
    units = "to-chuc-can-bo/don-vi-hanh-chinh.data.csv"
    (root / units).write_bytes((real / units).read_bytes())


@dataclass
class Warehouse:
    """A register and a store in one temporary folder."""

    settings: Settings

    def add(self, document: dict[str, Any], **siblings: str) -> None:
        """Write a contract (and siblings: ``sql=…``, ``data_csv=…``)."""
        file = self.settings.register / f"{document['id']}.odcs.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), encoding="utf-8")
        for suffix, text in siblings.items():
            file.with_name(file.name.removesuffix(".odcs.yaml") + "." + suffix.replace("_", ".")).write_text(text, encoding="utf-8")

    def drop(self, dataset: str, name: str, content: str | bytes) -> Path:
        """Put a delivery into the drop folder."""
        file = self.settings.drop / dataset / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def intake(self) -> Intake:
        return Intake(self.settings, load_register(self.settings.register))

    def take(self, dataset: str) -> Outcome:
        """Take in what is new for a dataset; the last outcome."""
        intake = self.intake()
        try:
            return intake.take(dataset, "test")[-1]
        finally:
            intake.store.close()

    @contextmanager
    def store(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self.intake().store.reader() as connection:
            yield connection

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.store() as connection:
            return connection.execute(sql).fetchall()


def make_warehouse(folder: Path) -> Warehouse:
    """An empty store and a register with two agencies and one dataset, `ho-tich/to-cong-tac`."""
    register = folder / "datasets"
    register.mkdir(parents=True)
    (register / "agencies.yaml").write_text(yaml.safe_dump(AGENCIES, allow_unicode=True), encoding="utf-8")
    (register / "semantic-types.yaml").write_text(yaml.safe_dump(SEMANTIC_TYPES, allow_unicode=True), encoding="utf-8")
    warehouse = Warehouse(Settings(register=register, home=folder / "var", quiet_seconds=0))
    warehouse.add(TEAMS)
    return warehouse
