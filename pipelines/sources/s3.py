"""The kind `s3`: objects of an S3-compatible bucket. The only module that knows the object store's library."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError, NotFoundError, PreconditionError
from obstore.store import S3Store

from pipelines.contract import Contract
from pipelines.contract.places import Bucket, bucket
from pipelines.sources import Fetched, SourceUnavailable
from pipelines.sources.remote_files import Changed, RemoteFile, describe, options_of, pull
from pipelines.sources.secrets import Secret, secret

CHUNK = 4 << 20
CONNECT = timedelta(seconds=20)
SILENCE = timedelta(seconds=60)
LONGEST = timedelta(hours=12)
"""Of one request: a big object over a slow line. Silence ends it much sooner."""
RETRIES = 3
SHOWN = 300
"""Characters of a service's own complaint that a message quotes."""


def fetch(contract: Contract, state: dict[str, Any], staging: Path) -> Iterator[Fetched]:
    """New objects under the prefix; an object is whole whenever it is listed.

    Raises `SourceUnavailable`, whose text holds no secret, and `MissingSecret`.
    """
    options = options_of(contract, bucket)
    yield from pull(Objects(options), options.pattern, state, staging, remove_taken=options.remove_taken)


def probe(contract: Contract) -> str:
    """Look whether the service lists the prefix. Raises as `fetch`."""
    options = options_of(contract, bucket)
    return describe(Objects(options), options.pattern)


class Objects:
    """The objects directly under a prefix, as `remote_files` wants a place to be."""

    def __init__(self, options: Bucket) -> None:
        self.identity = f"s3://{options.endpoint or ''}/{options.bucket}/{options.folder}"
        self._folder = f"{options.folder}/" if options.folder else ""
        self._bucket = options.bucket
        self._secrets = [secret(name) for name in (options.id_secret, options.secret) if name]
        with self._explained():
            self._store = S3Store(options.bucket, **_config(options, self._secrets))

    def listing(self) -> list[RemoteFile]:
        with self._explained():
            found = obstore.list_with_delimiter(self._store, self._folder.rstrip("/") or None)["objects"]
        return [self._file(dict(one)) for one in found]

    def _file(self, facts: dict[str, Any]) -> RemoteFile:
        modified = facts["last_modified"]
        return RemoteFile(facts["path"].removeprefix(self._folder), facts["size"], facts["e_tag"] or str(modified), modified.timestamp())

    def read(self, file: RemoteFile, offset: int) -> Iterator[bytes]:
        if offset >= file.size:
            return
        with self._explained(missing=Changed):
            answer = obstore.get(self._store, f"{self._folder}{file.name}", options={"if_match": file.version, "range": {"offset": offset}})
            for chunk in answer.stream(min_chunk_size=CHUNK):
                yield bytes(chunk)

    def unchanged(self, file: RemoteFile) -> bool:
        """Always: every request is for this ETag alone."""
        return True

    def remove(self, name: str) -> None:
        with self._explained():
            obstore.delete(self._store, f"{self._folder}{name}")

    @contextmanager
    def _explained(self, missing: type[Exception] = SourceUnavailable) -> Iterator[None]:
        """Trouble with the service as `SourceUnavailable`, without secrets and without the library's own chain of errors."""
        try:
            yield
        except (PreconditionError, NotFoundError) as error:
            raise missing(f"{self._bucket}: {self._complaint(error)}") from None
        except BaseError as error:
            raise SourceUnavailable(f"{self._bucket}: {self._complaint(error)}") from None

    def _complaint(self, error: Exception) -> str:
        text = str(error).strip().splitlines()[0]
        for one in self._secrets:
            text = one.hidden_in(text)
        return text[:SHOWN]


def _config(options: Bucket, secrets: list[Secret]) -> dict[str, Any]:
    client: dict[str, Any] = {"connect_timeout": CONNECT, "read_timeout": SILENCE, "timeout": LONGEST}
    if options.ca_file:
        client["root_certificate"] = Path(options.ca_file).read_text(encoding="ascii")
    config: dict[str, Any] = {
        "region": options.region,
        "virtual_hosted_style_request": options.virtual_hosted,
        "retry_config": {"max_retries": RETRIES, "retry_timeout": timedelta(minutes=2)},
    }
    if options.endpoint:
        config["endpoint"] = options.endpoint
        client["allow_http"] = options.endpoint.startswith("http:")
    if secrets:
        config["access_key_id"], config["secret_access_key"] = (one.reveal() for one in secrets)
    else:
        config["skip_signature"] = True
    return config | {"client_options": client}
