"""Where things are. Read from the environment once, passed on as a value; nothing else reads the environment."""

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Settings:
    """The folders of one warehouse.

    ``register`` holds the contracts (data, kept in git); ``home`` holds everything the warehouse makes.
    """

    register: Path
    home: Path
    catalogue_url: str = "http://127.0.0.1:8000"
    """Where people find the catalogue: for links in notices and in Dagster."""
    unpacked_limit: int = 20 << 30
    """Bytes that a packed delivery (ZIP, gzip) may unpack to."""

    @property
    def catalogue(self) -> Path:
        """The DuckLake catalogue (SQLite)."""
        return self.home / "store" / "catalogue.sqlite"

    @property
    def data(self) -> Path:
        """The Parquet files of the lake."""
        return self.home / "store" / "data"

    @property
    def lock(self) -> Path:
        """The one file lock around every write transaction."""
        return self.home / "store" / "writer.lock"

    @property
    def drop(self) -> Path:
        """Where agencies put files: ``drop/<domain>/<dataset>/<any file name>``."""
        return self.home / "drop"

    @property
    def archive(self) -> Path:
        """Every delivery as it came, named by its hash."""
        return self.home / "archive"

    @property
    def staging(self) -> Path:
        """Half-made files of running deliveries; safe to delete when nothing runs."""
        return self.home / "staging"

    @property
    def quality(self) -> Path:
        """What Great Expectations found, run by run, and its Data Docs: ``results/`` and ``docs/``."""
        return self.home / "quality"

    @property
    def dagster(self) -> Path:
        """Dagster's own storage."""
        return self.home / "dagster"


def dagster_environment(where: Settings) -> dict[str, str]:
    """What Dagster's processes read to find this project's instance; an environment that names another is left alone."""
    where.dagster.mkdir(parents=True, exist_ok=True)
    return {
        "DAGSTER_HOME": os.environ.get("DAGSTER_HOME", str(PROJECT)),
        "KHO_DAGSTER": os.environ.get("KHO_DAGSTER", str(where.dagster)),
    }


def settings() -> Settings:
    """Settings from the environment; every variable is described in docs/run.md. By default all is beside the code."""
    return Settings(
        register=Path(os.environ.get("KHO_REGISTER", PROJECT / "datasets")).resolve(),
        home=Path(os.environ.get("KHO_HOME", PROJECT / "var")).resolve(),
        catalogue_url=os.environ.get("KHO_CATALOGUE_URL", Settings.catalogue_url).rstrip("/"),
        unpacked_limit=int(os.environ.get("KHO_UNPACKED_LIMIT", Settings.unpacked_limit)),
    )
