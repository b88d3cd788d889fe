"""What `kho check` says of a service's entry in a contract."""

from typing import Any

import pytest

from pipelines.contract.service import service_faults

GOOD: dict[str, Any] = {"location": "https://lgsp.example.vn/api", "auth": {"type": "bearer", "secret": "LGSP"}}


@pytest.mark.parametrize(
    ("kind", "change", "message", "fix"),
    [
        ("api", {"location": "lgsp.example.vn"}, "no address", "https://"),
        ("api", {"location": "kho:mat-khau@lgsp.example.vn"}, "no address", "https://"),
        ("api", {"location": "https://kho:mat-khau@lgsp.example.vn"}, "user or password", "auth"),
        ("api", {"location": "https://lgsp.example.vn/api?key=b1mat"}, "parameters", "params"),
        ("api", {"location": "http://lgsp.example.vn/api"}, "unencrypted", "plainHttp"),
        ("api", {"recrods": "data"}, "recrods", "records"),
        ("api", {"format": "yaml"}, "format", "xml-in-json"),
        ("api", {"paging": {"by": "pages", "param": "page"}}, "paging.by", "page"),
        ("api", {"paging": {"by": "cursor", "param": "c"}}, "paging.next is missing", "cursor"),
        ("api", {"paging": {"by": "link", "parm": "page"}}, "paging.parm", "param"),
        ("api", {"paging": "page"}, "paging is not a mapping", "pairs"),
        ("api", {"since": {"param": "tu_ngay"}}, "since.field", "field"),
        ("api", {"params": {"api_key": "b1mat"}}, "params.api_key looks like a key", "auth"),
        ("api", {"headers": {"Authorization": "Bearer b1mat"}}, "looks like a key", "auth"),
        ("api", {"auth": {"type": "bearer", "secret": "b1mat-that"}}, "not the name of a secret", "LGSP_TOKEN"),
        ("api", {"auth": {"type": "token", "secret": "LGSP"}}, "auth.type", "bearer"),
        ("api", {"auth": {"type": "apiKey", "secret": "LGSP"}}, "where the key goes", "header or param"),
        ("api", {"auth": {"type": "oauth2", "secret": "LGSP", "clientId": "kho"}}, "auth.endpoint is missing", "endpoint"),
        ("api", {"maxPages": "many"}, "maxPages", "number"),
        ("ckan", {}, "resource is missing", "id"),
        ("arcgis", {"paging": {"by": "page"}}, "paging", "known are"),
    ],
)  # fmt: skip
def test_a_mistake_is_explained_and_never_repeats_a_secret(kind: str, change: dict[str, Any], message: str, fix: str) -> None:
    [(said, advice)] = service_faults(kind, GOOD | change)
    assert message in said and fix in advice
    assert "b1mat" not in said + advice and "mat-khau" not in said + advice


def test_good_entries_have_none() -> None:
    assert list(service_faults("api", GOOD | {"path": "ho-tich", "paging": {"by": "link"}, "timezone": "Asia/Ho_Chi_Minh"})) == []
    assert list(service_faults("ckan", GOOD | {"resource": "8f1c", "filters": {"nam": 2023}})) == []
    assert list(service_faults("arcgis", {"location": "http://10.0.0.5/arcgis/rest/services", "path": "dat/MapServer/0"})) == []
