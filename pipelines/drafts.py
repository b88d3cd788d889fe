"""Draft contracts: from a sample of the data, or from the inventory workbook that provinces keep (one row per dataset).

A draft is honest guesswork: types and semantic types by name *and* content, keys, closed lists, personal data. A steward
corrects it; `kho check` judges it.
"""

import re
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import duckdb
import yaml

from pipelines.contract import Register, SemanticType
from pipelines.gate.headers import fold
from pipelines.gate.reading import Source, Unreadable, read
from pipelines.sql import quote

CLOSED_LIST_MAX = 12
CLOSED_LIST_ROWS_PER_VALUE = 4
SIMILAR = 0.82
CONTENT_SHARE = 0.95
"""Share of a column's values that must look like a semantic type before the draft says it is one."""

NAMES: dict[str, tuple[str, ...]] = {
    "ho_ten": ("ho_ten", "ho_va_ten", "nguoi_dai_dien", "chu_ho", "chu_ho_so", "nguoi_gui", "full_name"),
    "cccd": ("cccd", "so_dinh_danh", "cmnd", "so_cccd", "so_can_cuoc"),
    "mst": ("mst", "ma_so_thue", "ma_so_dn", "ma_so_doanh_nghiep", "tax_code"),
    "dien_thoai": ("dien_thoai", "so_dien_thoai", "sdt", "di_dong", "phone"),
    "email": ("email", "thu_dien_tu"),
    "dvhc_xa": ("ma_xa", "ma_phuong_xa", "xa_phuong"),
    "dvhc_huyen": ("ma_huyen", "ma_quan_huyen"),
    "ngay_sinh": ("ngay_sinh", "nam_sinh_day_du"),
    "gioi_tinh": ("gioi_tinh",),
    "dan_toc": ("dan_toc", "ma_dan_toc"),
    "ton_giao": ("ton_giao",),
    "ky_thang": ("ky", "ky_bao_cao", "thang"),
    "nam": ("nam",),
    "kinh_do": ("kinh_do", "longitude", "lng", "long"),
    "vi_do": ("vi_do", "latitude", "lat"),
    "so_van_ban": ("so_van_ban", "so_quyet_dinh", "so_ky_hieu"),
    "ma_tthc": ("ma_tthc", "ma_thu_tuc"),
    "ma_ho_so": ("ma_ho_so",),
    "ma_co_quan": ("ma_co_quan",),
    "bien_so_xe": ("bien_so", "bien_so_xe"),
    "url": ("url", "duong_dan", "website"),
    "dia_chi": ("dia_chi", "address"),
    "quoc_gia": ("quoc_gia", "quoc_tich"),
}
"""Folded column names that suggest a semantic type; content must agree."""

BY_CONTENT = ("cccd", "mst", "dvhc_xa", "dvhc_huyen", "email", "url", "so_van_ban", "ma_tthc", "ky_thang", "dien_thoai")
"""Types whose form is telling enough to be recognised under any name (most specific first)."""


@dataclass(frozen=True)
class Draft:
    """A contract to be corrected. ``refusal`` says why there is none; ``warnings`` what to look at."""

    id: str
    text: str = ""
    refusal: str | None = None
    warnings: list[str] = field(default_factory=list)


def draft_from_sample(file: Path, dataset: str, agency: str | None, register: Register, title: str | None = None) -> Draft:
    """Infer a contract from a CSV, XLSX, JSON, XML or GeoJSON sample."""
    if refusal := _taken(dataset, register):
        return Draft(dataset, refusal=refusal)
    with duckdb.connect() as connection:
        try:
            source = read(connection, file)
        except (Unreadable, FileNotFoundError) as error:
            return Draft(dataset, refusal=f"{file}: {error}")
        columns, warnings = _columns(connection, source, register)
    title = title or dataset.rsplit("/", 1)[-1].replace("-", " ").capitalize()
    warnings += _similar(dataset, title, {c["name"] for c in columns}, register)
    personal = max((_personal(c) for c in columns), key=["none", "basic", "sensitive"].index, default="none")
    delivery = {".tsv": "csv", ".txt": "csv", ".xls": "xlsx", ".ods": "xlsx"}.get(file.suffix.lower(), file.suffix.lower().lstrip("."))
    return Draft(dataset, _document(dataset, title, agency, columns, personal, delivery, "monthly", register), warnings=warnings)


def _taken(dataset: str, register: Register) -> str | None:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*/[a-z0-9]+(-[a-z0-9]+)*", dataset):
        return f"`{dataset}` is no dataset id: write <domain>/<dataset>, lower case letters without accents, digits, hyphens"
    if dataset in register.contracts or (register.root / f"{dataset}.odcs.yaml").exists():
        return f"{dataset} exists already: change its contract instead ({register.root / dataset}.odcs.yaml)"
    return None


def _similar(dataset: str, title: str, columns: set[str], register: Register) -> list[str]:
    """The law forbids collecting twice what is already shared: say what looks like the same thing."""
    found = []
    for other in register.contracts.values():
        alike = SequenceMatcher(None, fold(title), fold(other.title)).ratio()
        names = {c.name for c in other.columns}
        shared = len(columns & names) / len(columns | names) if columns else 0
        if alike >= SIMILAR or (shared >= 0.6 and len(columns) > 3):
            found.append(f"{dataset} looks like {other.id} ({other.title}); do not collect again what is already shared")
    return found[:3]


def _columns(connection: duckdb.DuckDBPyConnection, source: Source, register: Register) -> tuple[list[dict[str, Any]], list[str]]:
    warnings: list[str] = []
    connection.execute(f"CREATE TEMP TABLE sample AS SELECT * FROM {source.relation} LIMIT 100000")
    total = int((connection.execute("SELECT count(*) FROM sample").fetchone() or (0,))[0])
    columns: list[dict[str, Any]] = []
    key: int | None = None
    used: set[str] = set()
    for header in source.header:
        name = fold(header) or f"cot_{len(columns) + 1}"
        name = name if name[0].isalpha() else f"c_{name}"
        while name in used:
            name += "_2"
        used.add(name)
        x = f"nullif(trim(CAST({quote(header)} AS VARCHAR)), '')"
        filled, distinct = connection.execute(f"SELECT count({x}), count(DISTINCT {x}) FROM sample").fetchone() or (0, 0)
        semantic = _semantic(connection, name, x, filled, register)
        kind = semantic.type if semantic else _type(connection, x, filled)
        column: dict[str, Any] = {
            "name": name,
            "businessName": header,
            "description": f"{header} (cần mô tả rõ hơn)",
            "logicalType": kind,
            "required": filled == total and total > 0,
        }
        if (
            key is None
            and total > 1
            and distinct == total
            and kind in ("string", "integer")
            and not (semantic and semantic.personal != "none")
        ):
            key = len(columns)
            column |= {"primaryKey": True, "primaryKeyPosition": 1}
        properties = [{"property": "titleEn", "value": header}]
        if semantic:
            properties.append({"property": "semanticType", "value": semantic.id})
        properties.append({"property": "personalData", "value": semantic.personal if semantic else "none"})
        if semantic and semantic.personal != "none":
            warnings.append(f"column {name}: {semantic.personal} personal data ({semantic.en})")
        if not semantic and kind == "string" and 1 < distinct <= CLOSED_LIST_MAX and filled >= distinct * CLOSED_LIST_ROWS_PER_VALUE:
            values = [v for (v,) in connection.execute(f"SELECT DISTINCT {x} AS v FROM sample WHERE v IS NOT NULL ORDER BY v").fetchall()]
            column["quality"] = [{"type": "library", "metric": "invalidValues", "arguments": {"validValues": values}, "mustBe": 0}]
        column["customProperties"] = properties
        columns.append(column)
    if key is None and columns:
        columns[0] |= {"primaryKey": True, "primaryKeyPosition": 1, "required": True}
        warnings.append(f"no single column is unique: {columns[0]['name']} is only a guess for the key")
    return columns, warnings


def _personal(column: dict[str, Any]) -> str:
    return str(next(p["value"] for p in column["customProperties"] if p["property"] == "personalData"))


def _fits(connection: duckdb.DuckDBPyConnection, x: str, filled: int, semantic: SemanticType) -> bool:
    """Whether nearly all values have the form of ``semantic``; a type without a form is taken at its name."""
    bound: Any
    if semantic.values:
        query, bound = f"SELECT count(*) FROM sample WHERE list_contains(?, {x})", list(semantic.values)
    elif semantic.pattern:
        query, bound = f"SELECT count(*) FROM sample WHERE regexp_full_match({x}, ?)", semantic.pattern
    elif semantic.type in ("number", "integer"):
        query, bound = (
            f"SELECT count(*) FROM sample WHERE TRY_CAST({x} AS DOUBLE) BETWEEN ? AND {float(semantic.maximum)}",
            semantic.minimum,
        )
    else:
        return semantic.type == "string" or _type(connection, x, filled) == semantic.type
    return int((connection.execute(query, [bound]).fetchone() or (0,))[0]) >= CONTENT_SHARE * filled


def _semantic(connection: duckdb.DuckDBPyConnection, name: str, x: str, filled: int, register: Register) -> SemanticType | None:
    if not filled:
        return None
    named = [t for t, names in NAMES.items() if name in names or any(name.startswith(f"{n}_") for n in names if len(n) > 5)]
    for candidate in [*named, *(t for t in BY_CONTENT if t not in named)]:
        semantic = register.semantic_types.get(candidate)
        if semantic and (candidate in named or semantic.pattern) and _fits(connection, x, filled, semantic):
            return semantic
    return None


def _type(connection: duckdb.DuckDBPyConnection, x: str, filled: int) -> str:
    if not filled:
        return "string"
    row = connection.execute(
        f"""
        SELECT count(*) FILTER (regexp_full_match(v, '-?(0|[1-9][0-9]{{0,17}})')),
               count(*) FILTER (regexp_full_match(v, '-?(0|[1-9][0-9]{{0,13}})([.][0-9]+)?')),
               count(*) FILTER (lower(v) IN ('true', 'false', 'có', 'không')),
               count(*) FILTER (TRY_CAST(v AS DATE) IS NOT NULL AND length(v) = 10 OR try_strptime(v, '%d/%m/%Y') IS NOT NULL OR v LIKE '% 00:00:00'),
               count(*) FILTER (TRY_CAST(v AS TIMESTAMP) IS NOT NULL AND length(v) > 10)
        FROM (SELECT {x} AS v FROM sample) WHERE v IS NOT NULL
        """
    ).fetchone()
    assert row is not None
    kinds = dict(zip(("integer", "number", "boolean", "date", "timestamp"), row, strict=True))
    return next((kind for kind, n in kinds.items() if n == filled), "string")


def _document(
    dataset: str, title: str, agency: str | None, columns: list[dict[str, Any]], personal: str, delivery: str, cycle: str,
    register: Register, description: str = "", access: str = "restricted",
) -> str:  # fmt: skip
    domain, table = dataset.split("/")
    document = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": dataset,
        "name": title,
        "version": "0.1.0",
        "status": "draft",
        "domain": domain,
        "team": {"name": agency or next(iter(register.agencies), "")},
        "description": {"purpose": description or f"{title} (cần mô tả rõ hơn).", "usage": "(ai dùng, để làm gì)"},
        "schema": [
            {
                "name": table.replace("-", "_"),
                "physicalName": f"{domain}.{table}".replace("-", "_"),
                "physicalType": "table",
                "logicalType": "object",
                "businessName": title,
                "properties": columns,
            }
        ],
        "customProperties": [
            {"property": name, "value": value}
            for name, value in {
                "nameEn": title, "descriptionEn": f"{title} (to be described).", "access": access, "personalData": personal,
                **({"licence": "CC-BY-4.0"} if access == "open" else {}),
                "cycle": cycle, "delivery": delivery, "loadMode": "replace", "provenance": "inferred",
            }.items()
        ],
    }  # fmt: skip
    head = "# Bản nháp / draft: sửa tiêu đề, mô tả, khóa, danh mục, mức chia sẻ; rồi chạy `kho check`.\n"
    return head + yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=130)


INVENTORY = {
    "id": ("id", "ma_bo_du_lieu", "ma"),
    "title": ("ten", "ten_bo_du_lieu", "ten_co_so_du_lieu", "ten_csdl", "title"),
    "agency": ("don_vi", "co_quan", "co_quan_chu_quan", "don_vi_chu_quan", "agency", "agency_code"),
    "domain": ("linh_vuc", "domain"),
    "sharing": ("phuong_thuc_chia_se", "hinh_thuc_chia_se", "delivery"),
    "cycle": ("tan_suat", "chu_ky", "tan_suat_cap_nhat", "update_cycle"),
    "description": ("mo_ta", "thong_tin_chia_se", "pham_vi", "description", "description_vi"),
}
CYCLES = {
    "real_time": "real-time", "thoi_gian_thuc": "real-time", "hang_ngay": "daily", "ngay": "daily", "daily": "daily", "hang_tuan": "weekly",
    "tuan": "weekly", "weekly": "weekly", "hang_thang": "monthly", "thang": "monthly", "monthly": "monthly", "hang_quy": "quarterly",
    "quy": "quarterly", "quarterly": "quarterly", "hang_nam": "yearly", "nam": "yearly", "yearly": "yearly",
}  # fmt: skip


def drafts_from_inventory(file: Path, register: Register) -> list[Draft]:
    """One draft per row of an inventory workbook (columns such as STT, tên, đơn vị, phương thức chia sẻ, tần suất)."""
    with duckdb.connect() as connection:
        try:
            source = read(connection, file)
        except (Unreadable, FileNotFoundError) as error:
            return [Draft(str(file), refusal=f"{file}: {error}")]
        rows = connection.execute(f"SELECT * FROM {source.relation}").fetchall()
    places = {what: next((i for i, h in enumerate(source.header) if fold(h) in names), None) for what, names in INVENTORY.items()}
    if places["title"] is None:
        return [Draft(str(file), refusal=f"{file}: no column holds the datasets' names (tên, tên bộ dữ liệu, tên CSDL)")]
    drafts: list[Draft] = []
    made: set[str] = set()
    for row in rows:
        cells = {what: str(row[i]).strip() if i is not None and row[i] is not None else "" for what, i in places.items()}
        if not cells["title"]:
            continue
        drafts.append(_from_row(cells, register, made))
        made.add(drafts[-1].id)
    return drafts


def _from_row(cells: dict[str, str], register: Register, made: set[str]) -> Draft:
    slug = lambda text: fold(text).replace("_", "-")
    agency = next((a for a in register.agencies.values() if fold(cells["agency"]) in (fold(a.name), fold(a.code))), None)
    domain = slug(cells["domain"]) or (slug(agency.code) if agency else "chua-phan-loai")
    dataset = cells["id"] if "/" in cells["id"] else f"{domain}/{slug(cells['title'])[:60].strip('-')}"
    if dataset in made:
        return Draft(dataset, refusal=f"{dataset} stands twice in the inventory")
    if refusal := _taken(dataset, register):
        return Draft(dataset, refusal=refusal)
    warnings = _similar(dataset, cells["title"], set(), register)
    if cells["agency"] and agency is None:
        warnings.append(f"{dataset}: agency “{cells['agency']}” is not in agencies.yaml")
    sharing = fold(cells["sharing"])
    delivery = "rest" if "api" in sharing or "rest" in sharing else next((d for d in ("csv", "json", "xml") if d in sharing), "xlsx")
    columns = [
        {
            "name": "ma", "businessName": "Mã", "description": "Mã duy nhất của hàng (cần sửa theo bảng thật)", "logicalType": "string",
            "required": True, "primaryKey": True, "primaryKeyPosition": 1,
            "customProperties": [{"property": "titleEn", "value": "Code"}, {"property": "personalData", "value": "none"}],
        }
    ]  # fmt: skip
    cycle = CYCLES.get(fold(cells["cycle"]), "irregular")
    text = _document(
        dataset, cells["title"], agency.code if agency else None, columns, "none", delivery, cycle, register, cells["description"]
    )
    return Draft(dataset, text, warnings=warnings)
