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
    quiet_seconds: float = 2.0
    """A file in the drop folder that changed less than this ago may still be being written."""
    upload_limit: int = 2 << 30
    """Bytes that one HTTP upload may have."""
    servers_file: Path | None = None

    @property
    def servers(self) -> Path:
        """This installation's addresses of the systems that contracts name (`pipelines/sources/servers.py`); it need not exist.

        ``KHO_SERVERS``, else `servers.yaml` in ``home``, else that of the synthetic sample servers.
        """
        own = self.servers_file or self.home / "servers.yaml"
        return own if self.servers_file or own.exists() else self.samples / "servers.synthetic.yaml"

    @property
    def samples(self) -> Path:
        """What the sample servers of a first run serve; synthetic throughout."""
        return self.home / "samples"

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
    def not_removed(self) -> Path:
        """Marks of files of the drop folder that were taken in and could not be removed."""
        return self.home / "drop-not-removed.jsonl"

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
    def tokens(self) -> Path:
        """Hashes of the tokens by which agencies deliver over HTTP."""
        return self.home / "access" / "tokens.sqlite"

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
    servers = os.environ.get("KHO_SERVERS")
    return Settings(
        register=Path(os.environ.get("KHO_REGISTER", PROJECT / "datasets")).resolve(),
        home=Path(os.environ.get("KHO_HOME", PROJECT / "var")).resolve(),
        catalogue_url=os.environ.get("KHO_CATALOGUE_URL", Settings.catalogue_url).rstrip("/"),
        unpacked_limit=int(os.environ.get("KHO_UNPACKED_LIMIT", Settings.unpacked_limit)),
        servers_file=Path(servers).resolve() if servers else None,
        quiet_seconds=float(os.environ.get("KHO_QUIET_SECONDS", Settings.quiet_seconds)),
        upload_limit=int(os.environ.get("KHO_UPLOAD_LIMIT", Settings.upload_limit)),
    )
