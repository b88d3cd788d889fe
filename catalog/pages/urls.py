"""Addresses. A dataset's address is its id and never changes."""

from django.urls import path, re_path

from catalog.doors.api import api
from catalog.doors.data_docs import data_docs
from catalog.doors.downloads import download
from catalog.doors.rejects import fix_sheet, submit
from catalog.pages import views

SLUG = "[a-z0-9-]+"

urlpatterns = [
    path("", views.home),
    path("search", views.search),
    re_path(rf"^datasets/(?P<domain>{SLUG})/(?P<name>{SLUG})$", views.dataset),
    re_path(rf"^datasets/(?P<domain>{SLUG})/(?P<name>{SLUG})/download\.(?P<form>csv|xlsx|json|parquet)$", download),
    re_path(rf"^datasets/(?P<domain>{SLUG})/(?P<name>{SLUG})/rejects$", views.rejects),
    re_path(rf"^datasets/(?P<domain>{SLUG})/(?P<name>{SLUG})/rejects/fix-sheet\.xlsx$", fix_sheet),
    re_path(rf"^datasets/(?P<domain>{SLUG})/(?P<name>{SLUG})/rejects/submit$", submit),
    path("agencies", views.agencies),
    path("agencies/<str:code>", views.agency),
    path("domains", views.domains),
    path("domains/<slug:slug>", views.domain),
    path("late", views.late),
    path("quality/", data_docs, {"path": "index.html"}),
    re_path(r"^quality/(?P<path>(?:index\.html|(?:expectations|validations|static)/.+))$", data_docs),
    path("about", views.about),
    path("healthz", views.healthz),
    path("api/v1/docs", views.api_reference),
    path("api/v1/", api.urls),
]
handler404 = views.not_found
handler500 = views.server_error
