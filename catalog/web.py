"""The web process: Django configured from `Settings`, served by gunicorn with one worker so that all threads share one catalogue."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
from django.conf import settings as django_settings
from django.core.wsgi import get_wsgi_application
from gunicorn.app.base import BaseApplication
from whitenoise import WhiteNoise

from catalog.access.tokens import Tokens
from catalog.live import Live
from pipelines.settings import Settings
from pipelines.store import Store

PAGES = Path(__file__).parent / "pages"
AgencyOfToken = Callable[[str], str | None]
"""Code of the agency whose token this is; None when it is nobody's (any more). None for the whole: nothing is taken in by token here."""
LOCAL_HOSTS = "127.0.0.1,localhost,[::1],testserver"


def configure(kho: Settings, live: Live, agency_of_token: AgencyOfToken | None = None) -> None:
    """Django's settings, once per process. There is no database: contracts and the store are all the state there is."""
    django_settings.configure(
        KHO_LIVE=live,
        KHO_DROP=kho.drop,
        KHO_AGENCY_OF_TOKEN=agency_of_token,
        KHO_DATA_DOCS=kho.quality / "docs",
        KHO_SETTINGS=kho,
        SECRET_KEY=_secret(kho.home / "web-secret"),
        ALLOWED_HOSTS=os.environ.get("KHO_HOSTS", LOCAL_HOSTS).split(","),
        ROOT_URLCONF="catalog.pages.urls",
        INSTALLED_APPS=[],
        DATABASES={},
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.middleware.gzip.GZipMiddleware",
            "catalog.pages.middleware.Context",
            "catalog.pages.middleware.Refusals",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [PAGES / "templates"],
                "OPTIONS": {
                    "builtins": ["catalog.pages.tags"],
                    "context_processors": ["django.template.context_processors.request", "catalog.pages.context.site"],
                },
            }
        ],
        APPEND_SLASH=False,
        USE_I18N=False,
        USE_TZ=True,
        SECURE_REFERRER_POLICY="same-origin",
        LOGGING={
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"console": {"class": "logging.StreamHandler"}},
            "root": {"handlers": ["console"], "level": "WARNING"},
        },
    )
    django.setup()


def application(kho: Settings, live: Live | None = None) -> Callable[..., Any]:
    """The WSGI application, following the register and the store from now on."""
    live = live or Live(kho.register, Store(kho))
    configure(kho, live, Tokens(kho.tokens).agency)
    live.follow()
    return WhiteNoise(get_wsgi_application(), root=PAGES / "static", prefix="static/", max_age=86_400)


def serve(settings: Settings, host: str = "127.0.0.1", port: int = 8000, threads: int = 8) -> None:
    """Serve until interrupted."""
    _Server(
        settings,
        {
            "bind": f"{host}:{port}",
            "workers": 1,
            "threads": threads,
            "worker_class": "gthread",
            "timeout": 120,
            "control_socket_disable": True,
            "loglevel": "warning",
            "worker_exit": _leave,
        },
    ).run()


def _leave(server: object, worker: object) -> None:
    """End the worker at once: there is nothing to flush, and taking native threads (DuckDB, tantivy) down one by one can crash."""
    os._exit(0)


class _Server(BaseApplication):
    """Gunicorn started from code; the application is made in the worker, where its threads live."""

    def __init__(self, kho: Settings, options: dict[str, Any]) -> None:
        self.kho, self.options = kho, options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self.options.items():
            self.cfg.set(name, value)

    def load(self) -> Callable[..., Any]:
        return application(self.kho)


def _secret(file: Path) -> str:
    """The key of this installation, made on first use and readable by its owner only."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_text(encoding="ascii")
    with os.fdopen(descriptor, "w", encoding="ascii") as target:
        target.write(key := secrets.token_urlsafe(48))
    return key
