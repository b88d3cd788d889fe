"""`servers` of the types `sftp` and `s3`: where files are fetched from, with every mistake explained that `source` does not know of."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")

Fault = tuple[str, str]
"""What is wrong, and what to write instead."""


@dataclass(frozen=True)
class SftpPlace:
    """A folder of an SFTP server."""

    host: str
    port: int
    user: str
    folder: str
    pattern: str
    host_keys: tuple[str, ...]
    """Fingerprints as `ssh-keygen -lf` prints them. A server that shows none of them is not spoken to."""
    secret: str | None = None
    """Name of the secret that holds the password."""
    key_secret: str | None = None
    """Name of the secret that holds a private key, and ``passphrase_secret`` what opens it."""
    passphrase_secret: str | None = None
    done_mark: str | None = None
    """`x.csv` is whole when `x.csv<done_mark>` stands beside it; without one, when two listings agree on its size and date."""
    steady_seconds: float = 3.0
    """Time between the two listings."""
    remove_taken: bool = False


@dataclass(frozen=True)
class Bucket:
    """Objects under one prefix of an S3-compatible bucket."""

    bucket: str
    folder: str
    pattern: str
    endpoint: str | None = None
    region: str = "us-east-1"
    id_secret: str | None = None
    """Name of the secret that holds the access key's id; without it and ``secret`` the bucket is read anonymously."""
    secret: str | None = None
    """Name of the secret that holds the secret access key."""
    ca_file: str | None = None
    """Certificates (PEM) of the authority that signed the endpoint's, where that is none of the public ones."""
    virtual_hosted: bool = False
    remove_taken: bool = False


def sftp_place(raw: Mapping[str, Any]) -> tuple[SftpPlace | None, list[Fault]]:
    """The place that an `sftp` server entry describes, or its mistakes."""
    faults = [*_flags(raw, "removeTaken")]
    address = urlsplit(str(raw.get("location", "")))
    folder, _, pattern = unquote(address.path).rpartition("/")
    port: int | None = None
    try:
        port = address.port
    except ValueError:
        faults.append((f"location `{raw.get('location')}` has no valid port", "write sftp://host:22/folder/*.csv"))
    if address.scheme != "sftp" or not address.hostname or not pattern:
        faults.append((f"location `{raw.get('location')}` is no place for files", "write sftp://host/folder/*.csv"))
    user = raw.get("user") or address.username
    if not user:
        faults.append(("user is missing", "name the account in `user`, or as sftp://user@host/…"))
    if not raw.get("secret") and not raw.get("keySecret"):
        faults.append(("neither secret nor keySecret is given", "name the secret that holds the password, or the private key"))
    keys = raw.get("hostKey") or ()
    keys = (keys,) if isinstance(keys, str) else tuple(keys)
    if not keys or not all(isinstance(key, str) and FINGERPRINT.fullmatch(key) for key in keys):
        faults.append(
            (
                "hostKey is not the fingerprint of a host key",
                "ask the server's keeper, and write SHA256:… (one, or a list), as ssh-keygen -lf prints it",
            )
        )
    mark = raw.get("doneMark")
    if mark is not None and not (isinstance(mark, str) and re.fullmatch(r"\.[\w.-]+", mark)):
        faults.append((f"doneMark `{mark}` is no ending of a name", "write an ending such as .done"))
    steady = raw.get("steadySeconds", SftpPlace.steady_seconds)
    if isinstance(steady, bool) or not isinstance(steady, int | float) or not 0 <= steady <= 600:
        faults.append((f"steadySeconds `{steady}` is no number of seconds", "write a number from 0 to 600"))
    if faults:
        return None, faults
    place = SftpPlace(
        address.hostname or "", port or 22, str(user), folder or "/", pattern, keys, raw.get("secret"), raw.get("keySecret"),
        raw.get("passphraseSecret"), mark, float(steady), bool(raw.get("removeTaken")),
    )  # fmt: skip
    return place, []


def bucket(raw: Mapping[str, Any]) -> tuple[Bucket | None, list[Fault]]:
    """The bucket that an `s3` server entry describes, or its mistakes."""
    faults = [*_flags(raw, "removeTaken", "virtualHosted")]
    # Not by urlsplit: a key may hold `?` and `#`.
    location = str(raw.get("location", ""))
    name, _, key = location.removeprefix("s3://").partition("/")
    folder, _, pattern = key.rpartition("/")
    if not location.startswith("s3://") or not BUCKET_NAME.fullmatch(name) or not pattern:
        faults.append((f"location `{raw.get('location')}` is no place for files", "write s3://bucket/folder/*.csv"))
    endpoint = raw.get("endpointUrl")
    if endpoint is not None:
        address = urlsplit(str(endpoint))
        if address.scheme not in ("http", "https") or not address.hostname or address.username:
            faults.append((f"endpointUrl `{endpoint}` is no address of a service", "write https://host:port"))
    if bool(raw.get("idSecret")) != bool(raw.get("secret")):
        faults.append(("idSecret and secret go together", "name the secrets of both, or of neither for a public bucket"))
    if faults:
        return None, faults
    found = Bucket(
        name, folder, pattern, endpoint, str(raw.get("region", Bucket.region)), raw.get("idSecret"), raw.get("secret"),
        raw.get("caFile"), bool(raw.get("virtualHosted")), bool(raw.get("removeTaken")),
    )  # fmt: skip
    return found, []


def _flags(raw: Mapping[str, Any], *keys: str) -> Iterator[Fault]:
    for key in keys:
        if key in raw and not isinstance(raw[key], bool):
            yield f"{key} `{raw[key]}` is neither true nor false", "write true or false"


PLACES: dict[str, Callable[[Mapping[str, Any]], tuple[Any, list[Fault]]]] = {"sftp": sftp_place, "s3": bucket}
"""Kind of source → what reads its options."""
