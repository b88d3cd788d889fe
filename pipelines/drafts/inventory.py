"""Drafts from an inventory workbook: one row per dataset, with the headings that Vietnamese agencies use."""

from pathlib import Path

import duckdb

from pipelines.contract import Register
from pipelines.drafts.document import Draft, DraftColumn, Facts, draft_text, refusal_of
from pipelines.drafts.similar import similar_datasets
from pipelines.gate.headers import fold
from pipelines.gate.readers import Unreadable, read
from pipelines.sql import quote

HEADINGS = {
    "id": ("id", "ma_bo_du_lieu", "ma", "slug"),
    "title": ("ten", "ten_bo_du_lieu", "ten_co_so_du_lieu", "ten_csdl", "ten_du_lieu", "title", "title_vi"),
    "agency": ("don_vi", "co_quan", "co_quan_chu_quan", "don_vi_chu_quan", "don_vi_quan_ly", "co_quan_quan_ly", "agency", "agency_code"),
    "domain": ("linh_vuc", "domain"),
    "sharing": ("phuong_thuc_chia_se", "hinh_thuc_chia_se", "phuong_thuc", "delivery"),
    "cycle": ("tan_suat", "chu_ky", "tan_suat_cap_nhat", "chu_ky_cap_nhat", "update_cycle", "cycle"),
    "description": ("mo_ta", "thong_tin_chia_se", "noi_dung", "pham_vi", "description", "description_vi"),
}
CYCLES = {
    "thoi_gian_thuc": "real-time", "real_time": "real-time", "ngay": "daily", "daily": "daily", "tuan": "weekly", "weekly": "weekly",
    "thang": "monthly", "monthly": "monthly", "quy": "quarterly", "quarterly": "quarterly", "nam": "yearly", "yearly": "yearly",
}  # fmt: skip
FORMS = {"api": "rest", "rest": "rest", "json": "json", "geojson": "geojson", "xml": "xml", "csv": "csv", "excel": "xlsx", "xlsx": "xlsx"}
TITLE_LENGTH = 60
ROWS_ABOVE = 20
"""Workbooks carry their own title and signatures above the headings."""


def drafts_from_inventory(file: Path, register: Register) -> list[Draft]:
    """One draft per row; a row that cannot be one is a refusal that says which and why, and stops no other."""
    with duckdb.connect() as connection:
        try:
            source = read(connection, file)
        except Unreadable as error:
            return [Draft(str(file), refusal=f"{file}: {error.vi} / {error.en}")]
        columns = ", ".join(quote(name) for name in source.header)
        rows = [source.header, *(list(row) for row in connection.execute(f"SELECT {columns} FROM {source.relation}").fetchall())]
    start, places = _headings(rows)
    if "title" not in places:
        known = ", ".join(HEADINGS["title"])
        return [Draft(str(file), refusal=f"{file}: no column holds the datasets' names; call it one of: {known}")]
    drafts: list[Draft] = []
    made: set[str] = set()
    for row in rows[start + 1 :]:
        cells = {what: str(row[i] or "").strip() for what, i in places.items()}
        if not any(c.isalpha() for c in cells["title"]):  # empty, or a line of column numbers
            continue
        draft = _draft(cells, register, made)
        drafts.append(draft)
        made.add(draft.id)
    return drafts


def _headings(rows: list[list[str | None]]) -> tuple[int, dict[str, int]]:
    """The row of headings (the one with most of them) and which column holds what."""
    found: list[tuple[int, int, dict[str, int]]] = []
    for index, row in enumerate(rows[:ROWS_ABOVE]):
        folded = [fold(cell or "") for cell in row]
        places = {what: next((i for i, h in enumerate(folded) if h in names), -1) for what, names in HEADINGS.items()}
        places = {what: i for what, i in places.items() if i >= 0}
        found.append((len(places), -index, places))
    _, index, places = max(found, key=lambda f: f[:2])
    return -index, places


def _draft(cells: dict[str, str], register: Register, made: set[str]) -> Draft:
    agency = next((a for a in register.agencies.values() if fold(cells.get("agency", "")) in (fold(a.name), fold(a.code))), None)
    domain = _domain(cells.get("domain", ""), register) or (_slug(agency.code) if agency else "chua-phan-loai")
    given = cells.get("id", "")
    dataset = given if "/" in given else f"{domain}/{_slug(given or cells['title'])[:TITLE_LENGTH].strip('-')}"
    if dataset in made:
        return Draft(dataset, refusal=f"{dataset} stands twice in the inventory")
    if refusal := refusal_of(dataset, None, register):
        return Draft(dataset, refusal=refusal)
    warnings = similar_datasets(cells["title"], set(), register)
    if agency is None:
        named = cells.get("agency", "")
        warnings.append(f"{dataset}: " + (f"agency “{named}” is not in agencies.yaml" if named else "no agency is named"))
    facts = Facts(
        dataset,
        cells["title"],
        agency.code if agency else None,
        cells.get("description", ""),
        delivery=_first(cells.get("sharing", ""), FORMS, "xlsx"),
        cycle=_first(cells.get("cycle", ""), CYCLES, "irregular"),
    )
    return Draft(dataset, draft_text(facts, [DraftColumn("ma", "Mã", key=True)]), warnings=warnings)


def _slug(text: str) -> str:
    return fold(text).replace("_", "-")


def _domain(text: str, register: Register) -> str:
    """The domain whose id or title the cell holds; else the cell itself as an id."""
    known = {fold(title): domain for domain, titles in register.domains.items() for title in (domain, titles["vi"], titles["en"])}
    return known.get(fold(text), _slug(text))


def _first(text: str, words: dict[str, str], default: str) -> str:
    """The meaning of the first known word in the cell."""
    folded = f"_{fold(text)}_"
    return next((meaning for word, meaning in words.items() if f"_{word}_" in folded), default)
