"""CKAN's DataStore and ArcGIS layers, as their documentation says they answer."""

import json
import re
from typing import Any

import pytest
import yaml

from pipelines.contract import load_register
from pipelines.sources import Fetched, SourceUnavailable, Withheld
from tests.pipelines.sources.service import Asked, Reply, service
from tests.pipelines.sources.test_rest import Puller
from tests.warehouse import SEMANTIC_TYPES, Warehouse, column, contract

DATASET = "ho-tich/co-so-in"


@pytest.fixture
def puller(warehouse: Warehouse) -> Puller:
    columns = [
        column("ma", title="Mã", required=True, primaryKey=True),
        column("ten", title="Tên doanh nghiệp", synonyms=["Ten doanh nghiep"]),
        column("ngay", "date", title="Ngày"),
        column("luc", "timestamp", title="Lúc"),
        column("hinh", title="Hình", semantic="hinh_hoc"),
    ]
    types = {**SEMANTIC_TYPES, "hinh_hoc": {"vi": "Hình học", "en": "Geometry", "type": "string"}}
    (warehouse.settings.register / "semantic-types.yaml").write_text(yaml.safe_dump(types, allow_unicode=True), encoding="utf-8")
    warehouse.add(contract(DATASET, columns))
    return Puller(load_register(warehouse.settings.register).contracts[DATASET], warehouse.settings.staging)


# --- CKAN -------------------------------------------------------------------------------------------------------------


def portal(rows: int, names: tuple[str, ...] = ("ma", "Ten doanh nghiep"), cap: int = 32_000) -> Any:
    """`datastore_search` over made-up records."""
    stored = [{"_id": n + 1, **{name: f"{name} {n}" for name in names}} for n in range(rows)]

    def answer(asked: Asked) -> Any:
        assert (asked.method, asked.path) == ("POST", "/api/3/action/datastore_search")
        query = asked.json
        if query["resource_id"] != "r-1":
            return Reply({"success": False, "error": {"__type": "Not Found Error", "message": "Not found: Resource"}}, status=404)
        fields = query.get("fields", ["_id", *names])
        start = query.get("offset", 0)
        page = stored[start : start + min(query["limit"], cap)]
        records = [{name: row[name] for name in fields} for row in page]
        described = [{"id": name, "type": "text"} for name in fields]
        return {"success": True, "result": {"fields": described, "records": records, "total": rows, "limit": min(query["limit"], cap)}}

    return answer


def test_ckan_asks_for_the_contract_s_fields_only(puller: Puller) -> None:
    with service(portal(25, cap=10)) as at:
        rows = puller.rows({"location": f"{at.url}/", "resource": "r-1", "filters": {"nam": "2023"}}, kind="ckan")
        assert [row["ma"] for row in rows] == [f"ma {n}" for n in range(25)] and set(rows[0]) == {"ma", "Ten doanh nghiep"}
        asked = [one.json for one in at.asked[1:]]
        assert [one["offset"] for one in asked] == [0, 10, 20]
        assert all(
            one["fields"] == ["ma", "Ten doanh nghiep"] and one["sort"] == "_id" and one["filters"] == {"nam": "2023"} for one in asked
        )


def test_ckan_drift_is_found_before_a_row_is_read(puller: Puller) -> None:
    with service(portal(5, names=("ma_so", "Ten doanh nghiep"))) as at:
        options = {"location": at.url, "resource": "r-1"}
        assert puller.rules(options, kind="ckan") == [("unknown_column", "ma_so"), ("missing_column", "ma")]
        assert len(at.asked) == 1
    with service(portal(5, names=("ma", "Fax"))) as at:
        assert len(puller.rows({"location": at.url, "resource": "r-1", "ignore": ["Fax"]}, kind="ckan")) == 5


def test_what_ckan_complains_of(puller: Puller) -> None:
    with service(portal(1)) as at, pytest.raises(SourceUnavailable, match="Not found: Resource"):
        puller.pull({"location": at.url, "resource": "r-2"}, kind="ckan")
    with service(lambda asked: {"success": False, "error": {"message": "sai bộ lọc"}}) as at:
        found = puller.pull({"location": at.url, "resource": "r-1"}, kind="ckan")
        assert isinstance(found, Withheld) and "sai bộ lọc" in found.reasons[0].vi


# --- ArcGIS -----------------------------------------------------------------------------------------------------------

FIELDS = [
    {"name": "FID", "type": "esriFieldTypeOID"},
    {"name": "ma", "type": "esriFieldTypeString"},
    {"name": "ngay", "type": "esriFieldTypeDate"},
    {"name": "luc", "type": "esriFieldTypeDate"},
    {"name": "Shape__Area", "type": "esriFieldTypeDouble"},
]
MIDNIGHT = 1_688_058_000_000  # 30 June 2023, 00:00 in Viet Nam: 17:00 of the day before in UTC
POINT = {"type": "Point", "coordinates": [106.41, 10.53]}


def layer(rows: int, geometry: str | None = "esriGeometryPoint", cap: int = 10, hides: int = 0) -> Any:
    """A feature layer with gaps in its object ids, which knows no offsets."""
    stored = [{"FID": 3 * n + 1, "ma": f"M{n}", "ngay": MIDNIGHT, "luc": MIDNIGHT + 3_600_000} for n in range(rows)]

    def answer(asked: Asked) -> Any:
        query = asked.query
        assert asked.path.startswith("/arcgis/rest/services/x/FeatureServer/0") and "resultOffset" not in query
        if not asked.path.endswith("/query"):
            return {"fields": FIELDS, "objectIdField": "FID", "geometryType": geometry, "maxRecordCount": cap}
        if "returnCountOnly" in query:
            return {"count": rows}
        after = re.search(r"FID > (\d+)", query["where"])
        names = query["outFields"].split(",")
        found = [row for row in stored[: rows - hides] if after is None or row["FID"] > int(after[1])][: int(query["resultRecordCount"])]
        if query["f"] == "geojson":
            assert query["outSR"] == "4326"
            features = [{"type": "Feature", "geometry": POINT, "properties": {n: row[n] for n in names}} for row in found]
            return {"type": "FeatureCollection", "features": features}
        return {"features": [{"attributes": {name: row[name] for name in names}} for row in found]}

    return answer


def arcgis(at: Any, **more: Any) -> dict[str, Any]:
    return {"location": f"{at.url}/arcgis/rest/services/x/FeatureServer/0", **more}


def test_arcgis_reads_on_from_the_last_object(puller: Puller) -> None:
    with service(layer(25)) as at:
        rows = puller.rows(arcgis(at, where="ma <> ''"), kind="arcgis")
        assert [row["ma"] for row in rows] == [f"M{n}" for n in range(25)]
        assert set(rows[0]) == {"ma", "ngay", "luc", "geometry"}
        assert (rows[0]["ngay"], rows[0]["luc"]) == ("2023-06-30", "2023-06-30 01:00:00")
        assert json.loads(rows[0]["geometry"]) == POINT
        where = [one.query["where"] for one in at.asked if "resultRecordCount" in one.query]
        assert where[:2] == ["(ma <> '')", "(ma <> '') AND FID > 28"]


def test_arcgis_tables_have_no_geometry(puller: Puller) -> None:
    with service(layer(3, geometry=None)) as at:
        rows = puller.rows(arcgis(at), kind="arcgis")
        assert rows == [{"ma": f"M{n}", "ngay": "2023-06-30", "luc": "2023-06-30 01:00:00"} for n in range(3)]


def test_arcgis_must_give_as_many_as_it_counts(puller: Puller) -> None:
    with service(layer(12, hides=1)) as at:
        assert puller.rules(arcgis(at), kind="arcgis") == [("total", "")]


def test_arcgis_errors_come_with_status_200(puller: Puller) -> None:
    with (
        service(lambda asked: {"error": {"code": 499, "message": "Token Required"}}) as at,
        pytest.raises(SourceUnavailable, match="token"),
    ):
        puller.pull(arcgis(at), kind="arcgis")
    with service(lambda asked: {"error": {"code": 400, "message": "Invalid URL"}}) as at:
        found = puller.pull(arcgis(at), kind="arcgis")
        assert isinstance(found, Withheld) and "Invalid URL" in found.reasons[0].en


def test_an_arcgis_pull_goes_on_where_it_was(puller: Puller) -> None:
    whole = layer(25)
    broken = [True]

    def answer(asked: Asked) -> Any:
        if broken[0] and "FID > 28" in asked.query.get("where", ""):
            return {"error": {"code": 500, "message": "Error performing query operation"}}
        return whole(asked)

    with service(answer) as at:
        with pytest.raises(SourceUnavailable, match="500"):
            puller.pull(arcgis(at, retries=0), kind="arcgis")
        broken[0] = False
        before = len(at.asked)
        found = puller.pull(arcgis(at, retries=0), kind="arcgis")
        assert isinstance(found, Fetched) and len(json.loads(puller.text)) == 25
        assert "FID > 28" in at.asked[before + 1].query["where"]
