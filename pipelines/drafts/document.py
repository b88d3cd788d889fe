"""A draft as an ODCS file that reads like the ones written by hand."""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from pipelines.contract import Register
from pipelines.contract.odcs import SLUG
from pipelines.gate.headers import fold

HEAD = """\
# Bản nháp / draft. Sửa tiêu đề, mô tả, khóa, danh mục, dữ liệu cá nhân, mức chia sẻ; chạy `kho check`;
# khi đã đúng, đổi `status: draft` thành `status: active`.
"""
DESCRIBE = "(cần mô tả)"


@dataclass(frozen=True)
class Draft:
    """A contract to be corrected. ``refusal`` says why there is none; ``warnings`` what to look at."""

    id: str
    text: str = ""
    refusal: str | None = None
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Facts:
    """What is known of a dataset besides its columns."""

    id: str
    title: str
    agency: str | None = None
    description: str = ""
    delivery: str = "xlsx"
    cycle: str = "irregular"


@dataclass(frozen=True)
class DraftColumn:
    """What is known or guessed of a column."""

    name: str
    title: str
    type: str = "string"
    required: bool = False
    key: bool = False
    semantic: str | None = None
    personal: str = "none"
    values: tuple[str, ...] = ()


class _OneLine(dict[str, Any]):
    """A mapping that is written on one line."""


class _Dumper(yaml.SafeDumper):
    """Lists indented below their key, as the register's own files are."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


_Dumper.add_representer(_OneLine, lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data, flow_style=True))


def refusal_of(dataset: str, agency: str | None, register: Register) -> str | None:
    """Why there can be no draft under this id and agency."""
    parts = dataset.split("/")
    if len(parts) != 2 or not all(SLUG.fullmatch(p) for p in parts):
        return f"`{dataset}` is no dataset id: write <domain>/<dataset>, lower case letters without accents, digits, hyphens"
    file = register.root / f"{dataset}.odcs.yaml"
    if dataset in register.contracts or file.exists():
        return f"{dataset} exists already: change its contract instead ({file})"
    if agency and agency not in register.agencies:
        return f"there is no agency {agency}; codes are in {register.root / 'agencies.yaml'}"
    return None


def draft_text(facts: Facts, columns: list[DraftColumn]) -> str:
    """The draft's file. What only a person can say is left open in words that ask for it."""
    domain, _, table = facts.id.partition("/")
    personal = max((c.personal for c in columns), key=["none", "basic", "sensitive"].index, default="none")
    names = {
        "nameEn": facts.title, "descriptionEn": f"{facts.title} (to be described).", "access": "restricted", "personalData": personal,
        "cycle": facts.cycle, "delivery": facts.delivery, "loadMode": "replace", "provenance": "inferred",
    }  # fmt: skip
    document = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": facts.id,
        "name": facts.title,
        "version": "0.1.0",
        "status": "draft",
        "domain": domain,
        "team": {"name": facts.agency or ""},
        "description": {"purpose": facts.description or f"{facts.title} {DESCRIBE}.", "usage": "(ai dùng, để làm gì)"},
        "schema": [
            {
                "name": table.replace("-", "_"),
                "physicalName": f"{domain}.{table}".replace("-", "_"),
                "physicalType": "table",
                "logicalType": "object",
                "businessName": facts.title,
                "properties": [_column(c, sum(k.key for k in columns[:i])) for i, c in enumerate(columns)],
            }
        ],
        "customProperties": _properties(names),
    }
    return HEAD + yaml.dump(document, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=130)


def _properties(names: dict[str, str]) -> list[_OneLine]:
    return [_OneLine(property=name, value=value) for name, value in names.items()]


def _column(column: DraftColumn, keys_before: int) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": column.name,
        "businessName": column.title,
        "description": f"{column.title} {DESCRIBE}",
        "logicalType": column.type,
        "required": column.required or column.key,
    }
    if column.key:
        made |= {"primaryKey": True, "primaryKeyPosition": keys_before + 1}
    if column.values:
        rule = {"type": "library", "metric": "invalidValues", "arguments": _OneLine(validValues=list(column.values)), "mustBe": 0}
        made["quality"] = [rule]
    names = {"titleEn": column.title} | ({"semanticType": column.semantic} if column.semantic else {})
    made["customProperties"] = _properties(names | {"personalData": column.personal})
    return made


def column_name(header: str, position: int, taken: set[str]) -> str:
    """An ASCII name for a header, unlike those in ``taken``."""
    name = fold(header) or f"cot_{position}"
    name = name if re.match("[a-z]", name) else f"c_{name}"
    plain, n = name, 2
    while name in taken:
        name, n = f"{plain}_{n}", n + 1
    return name
