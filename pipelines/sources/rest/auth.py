"""Proving to a service who we are. Secrets are put on what is sent, at the last moment, and nowhere else."""

import base64
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import quote, quote_plus

from requests import PreparedRequest

from pipelines.sources import SourceUnavailable
from pipelines.sources.secrets import MASK, MissingSecret, Secret, secret

MARGIN_SECONDS = 30
"""A token is renewed this long before it ends."""


class Proof(Protocol):
    """A way of proving who we are."""

    name: str
    """Of the secret, for messages; empty where there is none."""
    parameter: str
    """The address's parameter that carries the secret; empty where none does."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest: ...

    def renew(self) -> bool:
        """After a refusal: whether there is a new proof to try, once."""
        ...


class Secrecy:
    """The secrets of one pull, and every form in which they travel: what is written anywhere goes through `hide`."""

    def __init__(self) -> None:
        self._forms: set[str] = set()

    def keep(self, name: str) -> Secret:
        """Look a secret up, and hide it from now on. A secret that this machine does not hold is the machine's trouble."""
        try:
            found = secret(name)
        except MissingSecret as error:
            raise SourceUnavailable(str(error)) from None
        self.add(found.reveal())
        return found

    def add(self, text: str) -> None:
        quoted = {quote(text), quote(text, safe=""), quote_plus(text)}
        written = json.dumps(text)[1:-1]
        forms = {
            text,
            *quoted,
            *map(_lower_escapes, quoted),
            written,
            written.replace("/", r"\/"),
            base64.b64encode(text.encode()).decode(),
        }
        self._forms |= forms - {""}

    def hide(self, text: str) -> str:
        for form in sorted(self._forms, key=len, reverse=True):
            text = text.replace(form, MASK)
        return text

    @contextmanager
    def in_logs(self) -> Iterator[None]:
        """Hide the secrets in what the HTTP library logs: at level DEBUG it writes whole addresses."""

        def clean(record: logging.LogRecord) -> bool:
            record.msg, record.args = self.hide(record.getMessage()), None
            return True

        logger = logging.getLogger("urllib3.connectionpool")
        logger.addFilter(clean)
        try:
            yield
        finally:
            logger.removeFilter(clean)


class Nobody:
    """No proof. As a callable it also keeps the HTTP library from looking for passwords in the user's `.netrc`."""

    name = parameter = ""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        return request

    def renew(self) -> bool:
        return False


class Header(Nobody):
    """A header with the secret in it: bearer, basic, a key under any name."""

    def __init__(self, name: str, header: str, text: str) -> None:
        self.name, self._header, self._text = name, header, text

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers[self._header] = self._text
        return request


class Parameter(Nobody):
    """A key in the address."""

    def __init__(self, name: str, parameter: str, text: str) -> None:
        self.name, self.parameter, self._text = name, parameter, text

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.prepare_url(request.url or "", {self.parameter: self._text})
        return request


class ClientCredentials(Nobody):
    """OAuth 2.0 client credentials (RFC 6749, 4.4): a token for a secret, kept until shortly before it ends.

    ``ask`` posts a form and returns the answer's JSON.
    """

    def __init__(self, name: str, form: dict[str, str], headers: dict[str, str], secrecy: Secrecy,
                 ask: Callable[[dict[str, str], dict[str, str]], Mapping[str, Any]]) -> None:  # fmt: skip
        self.name = name
        self._form, self._headers, self._secrecy, self._ask = form, headers, secrecy, ask
        self._token, self._until = "", 0.0

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        if not self._token or time.monotonic() > self._until:
            self._fetch()
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def renew(self) -> bool:
        """A token may be withdrawn before its time."""
        self._fetch()
        return True

    def _fetch(self) -> None:
        answer = self._ask(self._form, self._headers)
        token = answer.get("access_token")
        if not isinstance(token, str) or not token:
            raise SourceUnavailable(f"the token service gives no access_token for secret {self.name}")
        self._secrecy.add(token)
        self._token = token
        life = answer.get("expires_in")
        self._until = time.monotonic() + (float(life) - MARGIN_SECONDS if isinstance(life, int | float) else 300)


def proof_of(auth: Mapping[str, str], secrecy: Secrecy, post: Callable[[str, dict[str, str], dict[str, str]], Mapping[str, Any]]) -> Proof:
    """The proof that the options ask for. ``post`` sends a form to an address and returns the answer's JSON."""
    if not auth:
        return Nobody()
    name = auth["secret"]
    text = secrecy.keep(name).reveal()
    match auth["type"]:
        case "bearer":
            return Header(name, "Authorization", f"Bearer {text}")
        case "basic":
            return Header(name, "Authorization", _basic(auth["user"], text, secrecy))
        case "apiKey" if "header" in auth:
            return Header(name, auth["header"], text)
        case "apiKey":
            return Parameter(name, auth["param"], text)
    form = {"grant_type": "client_credentials"} | ({"scope": auth["scope"]} if "scope" in auth else {})
    headers: dict[str, str] = {}
    if auth.get("clientAuth") == "body":
        form |= {"client_id": auth["clientId"], "client_secret": text}
    else:
        headers["Authorization"] = _basic(quote(auth["clientId"], safe=""), quote(text, safe=""), secrecy)
    return ClientCredentials(name, form, headers, secrecy, lambda form, headers: post(auth["endpoint"], form, headers))


def _lower_escapes(quoted: str) -> str:
    """`%2F` as `%2f`: both are in use."""
    return re.sub("%[0-9A-F]{2}", lambda escape: escape[0].lower(), quoted)


def _basic(user: str, password: str, secrecy: Secrecy) -> str:
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    secrecy.add(pair)
    return f"Basic {pair}"
