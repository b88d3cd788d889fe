"""A small warehouse: eight datasets that differ in access, personal data and state, with planted secrets."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from pipelines.store import Store

SECRET_NAME, SECRET_ILLNESS = "Nguyễn Thị Bí Mật", "bệnh chớ nói"
"""Stand in every personal column of the store (rows, profiles, quarantine), and nowhere else."""
READING = '[{"what": "header_row", "value": "4–5", "evidence": "3 cột của hợp đồng"}]'
SECRETS = {"ho_ten": SECRET_NAME, "benh": SECRET_ILLNESS}

SEMANTIC_TYPES = {
    "ho_ten": {"vi": "Họ và tên", "en": "Full name", "type": "string", "personal": "basic"},
    "suc_khoe": {"vi": "Thông tin sức khỏe", "en": "Health information", "type": "string", "personal": "sensitive"},
}
AGENCIES = {
    "STP": {
        "name": "Sở Tư pháp",
        "nameEn": "Department of Justice",
        "kind": "department",
        "email": "stp@tinh.gov.vn",
        "phone": "02723000001",
    },
    "SYT": {"name": "Sở Y tế", "nameEn": "Department of Health", "kind": "department", "email": "syt@tinh.gov.vn", "phone": "02723000002"},
}


def column(name: str, kind: str = "string", *, key: bool = False, semantic: str | None = None, personal: str | None = None) -> dict:
    properties = [{"property": "titleEn", "value": name.replace("_", " ").capitalize()}]
    properties += [{"property": "semanticType", "value": semantic}] * bool(semantic)
    properties += [{"property": "personalData", "value": personal}] * bool(personal)
    title = name.replace("_", " ").capitalize()
    return {
        "name": name, "businessName": title, "description": f"Cột {title}", "logicalType": kind, "primaryKey": key,
        "customProperties": properties,
    }  # fmt: skip


PLAIN = [column("ma", key=True), column("ten"), column("so_luong", "integer"), column("dien_tich", "number"), column("ngay", "date")]
PERSONAL = [column("ma", key=True), column("ten"), column("ho_ten", semantic="ho_ten"), column("benh", semantic="suc_khoe")]


def contract(
    id: str, title: str, *, access: str = "open", personal: str = "none", columns: list = PLAIN, agency: str = "STP", **more: str
) -> dict:
    domain, name = id.split("/")
    properties = {
        "nameEn": title.upper(), "descriptionEn": "A dataset.", "access": access, "personalData": personal, "licence": "CC-BY-4.0",
        "loadMode": more.get("load", "replace"), "delivery": "csv", "cycle": more.get("cycle", "monthly"), "provenance": "seed",
    } | ({"legalBasis": more["legal"]} if "legal" in more else {})  # fmt: skip
    return {
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": id, "name": title, "version": "1.2.0",
        "status": more.get("status", "active"), "domain": domain, "team": {"name": agency},
        "description": {"purpose": f"Nội dung của {title}.", "usage": "Thống kê.", "limitations": "Chưa đủ."},
        "customProperties": [{"property": k, "value": v} for k, v in properties.items()],
        "schema": [{
            "name": name.replace("-", "_"), "properties": columns,
            "quality": [{"name": "khong_trung", "type": "sql", "query": "SELECT 0", "mustBe": 0, "description": "Mã không trùng"}],
        }],
    }  # fmt: skip


CONTRACTS = [
    contract("y-te/nha-thuoc", "Danh sách nhà thuốc", agency="SYT"),
    contract("y-te/nguoi-hanh-nghe", "Người hành nghề", personal="sensitive", columns=PERSONAL, agency="SYT"),
    contract("y-te/ho-so", "Hồ sơ sức khỏe", access="restricted", personal="sensitive", columns=PERSONAL, agency="SYT"),
    contract("tu-phap/luat-su", "Luật sư", personal="sensitive", columns=PERSONAL, legal="Luật Luật sư 65/2006/QH11"),
    contract("tu-phap/an-phi", "Án phí", access="shared"),
    contract("tu-phap/chua-giao", "Bộ chưa giao"),
    contract("tu-phap/du-thao", "Bộ dự thảo", status="proposed"),
    contract("tu-phap/tong-hop", "Tổng hợp nhà thuốc"),
]
CLOSED = ("y-te/ho-so", "tu-phap/an-phi", "tu-phap/du-thao")
OPEN = ("y-te/nha-thuoc", "y-te/nguoi-hanh-nghe", "tu-phap/luat-su", "tu-phap/tong-hop")
PLAIN_ROWS = [
    ("A1", "=1+1", 3, 1.5, "2023-01-31"), ("A2", "-5", 10, 0.25, "2023-02-01"), ("A3", "@cmd, \"x\"", 7, None, None),
    ("A4", "+84 272 382", 1, 1000, "2023-03-01"),
]  # fmt: skip
PERSONAL_ROWS = [(f"P{i}", f"Phòng {i}", f"{SECRET_NAME} {i}", f"{SECRET_ILLNESS} {i}") for i in range(30)]


def write_register(root: Path, contracts: list[dict] = CONTRACTS) -> None:
    root.mkdir(parents=True, exist_ok=True)
    facts = {
        "vi": "Kho thử", "en": "Trial warehouse", "timezone": "Asia/Ho_Chi_Minh",
        "domains": {"y-te": {"vi": "Y tế", "en": "Health"}, "tu-phap": {"vi": "Tư pháp", "en": "Justice"}},
    }  # fmt: skip
    for name, content in (("register", facts), ("agencies", AGENCIES), ("semantic-types", SEMANTIC_TYPES)):
        (root / f"{name}.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    for one in contracts:
        file = root / f"{one['id']}.odcs.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(yaml.safe_dump(one, allow_unicode=True), encoding="utf-8")
    (root / "tu-phap/tong-hop.sql").write_text("SELECT * FROM y_te.nha_thuoc", encoding="utf-8")


def deliver(store: Store, id: str, rows: list[tuple], release: int | None = 1, outcome: str = "accepted", **more) -> None:
    """What `ingest` leaves in the store after one delivery, with planted quarantine rows and a profile."""
    delivery, now = str(uuid.uuid4()), datetime.now(UTC).replace(tzinfo=None) - timedelta(days=more.get("days_ago", 0))
    table = id.replace("-", "_").replace("/", ".")
    reasons = [{"rule": "pattern", "column": "ten", "count": 2, "vi": "sai mẫu", "en": "wrong pattern"}] if outcome != "accepted" else []
    with store.transaction(id, {}) as connection:
        if release:
            connection.execute(f"DELETE FROM {table}")
            connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
        names = [row[0] for row in connection.execute(f"DESCRIBE {table}").fetchall()]
        for name in names if release else ():
            secret = SECRETS.get(name, "A1")
            connection.execute(
                """
                INSERT INTO kho.profile (delivery_id, dataset, column_name, rows, nulls, distinct_count, minimum, maximum)
                VALUES (?, ?, ?, ?, 0, 4, ?, ?)
                """,
                [delivery, id, name, len(rows), secret, secret],
            )
        if outcome != "accepted":
            for name in names:
                value = SECRETS.get(name, "giá trị hỏng")
                connection.execute(
                    "INSERT INTO kho.quarantine VALUES (?, ?, 7, ?, ?, 'pattern', 'sai mẫu', 'wrong', 'wrong format')",
                    [delivery, id, name, value],
                )
            cells = json.dumps({name: SECRETS.get(name, "giá trị hỏng") for name in names}, ensure_ascii=False)
            for row in (7, 8):
                connection.execute("INSERT INTO kho.held_rows VALUES (?, ?, ?, ?, NULL, NULL)", [delivery, id, row, cells])
        if release:
            violations = more.get("violations", 0)
            connection.execute(
                "INSERT INTO kho.checks VALUES (?, ?, 'khong_trung', ?, 'Mã không trùng', 'unique', ?)", [delivery, id, violations, now]
            )
        held = 2 if outcome != "accepted" else 0
        connection.execute(
            f"INSERT INTO kho.ledger VALUES ({', '.join('?' * 19)}, 4, '{READING}', NULL)",
            [delivery, id, now, "giao.csv", 10, "ab" * 32, more.get("synthetic", False), "run", "1.2.0", "f", outcome, len(rows) + held,
             len(rows), held, len(rows), release, json.dumps(reasons), now, now],
        )  # fmt: skip
