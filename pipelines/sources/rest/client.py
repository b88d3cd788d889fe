"""HTTP, with the patience and the distrust that a service of another agency needs. The only module that knows the HTTP library."""

import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import msgspec
import requests
from urllib3.exceptions import DecodeError, HTTPError, ProtocolError
from urllib3.exceptions import TimeoutError as TimeoutError_

from pipelines.contract.service import LOOPBACK
from pipelines.sources import SourceUnavailable
from pipelines.sources.rest.answer import Answer, Request, Unacceptable
from pipelines.sources.rest.auth import Secrecy, proof_of
from pipelines.sources.rest.options import Options

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that may be gone at the next try."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_REDIRECTS = 5
CONNECT_SECONDS = 10
SLOWEST = 10
"""One answer may take this many timeouts in all: a service that sends a byte a minute is no service."""
CHUNK = 1 << 16
SHOWN = 200
"""Characters of a service's own complaint that a message quotes."""
sleep = time.sleep


class Rejected(SourceUnavailable):
    """The service does not accept the request (4xx), whoever asks."""


class Passing(Exception):
    """Trouble of the moment. ``wait`` is how many seconds the service asks for, None where it asks for nothing."""

    def __init__(self, text: str, wait: float | None = None) -> None:
        self.wait = wait
        super().__init__(text)


class Client:
    """Asks one service. Use as a context manager."""

    def __init__(self, options: Options) -> None:
        self._limits = options.limits
        self._location, self._origin = options.location, _origin(options.location)
        self._secrecy = Secrecy()
        self._session = requests.Session()
        self._session.headers.update(
            {"User-Agent": "Kho", "Accept": "application/json, application/xml;q=0.9, */*;q=0.1", **options.headers}
        )
        self._proof = proof_of(options.auth, self._secrecy, self._token)
        self._last = 0.0

    def __enter__(self) -> "Client":
        self._hidden = self._secrecy.in_logs()
        self._hidden.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._hidden.__exit__(None, None, None)
        self._session.close()

    def hide(self, text: str) -> str:
        """``text`` with every secret of this pull masked."""
        return self._secrecy.hide(text)

    def without_secret(self, url: str) -> str:
        """An address that a service named, without the key that it may repeat: fit to be written down."""
        parts = urlsplit(url)
        pairs = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != self._proof.parameter]
        return self.hide(parts._replace(query=urlencode(pairs)).geturl())

    def ask(
        self, request: Request, conditions: Mapping[str, str] | None = None, check: Callable[[Answer], None] = lambda _: None
    ) -> Answer:
        """The service's answer, whole. Tries again where that may help, with growing pauses or after the pause the service asks for.

        ``check`` raises `Passing` for trouble of the moment that stands in the answer itself.
        Raises `SourceUnavailable`: unreachable, not allowed, or still failing after all tries.
        """
        said = ""
        for attempt in range(self._limits.retries + 1):
            try:
                answer = self._once(request, conditions or {})
                if answer.body:
                    check(answer)
                return answer
            except Passing as trouble:
                said, asked = str(trouble), trouble.wait
            # Outside the handler: with the library's exception as context, a traceback would show the address, and so perhaps a key.
            if asked is not None and asked > self._limits.wait:
                raise SourceUnavailable(
                    f"{said}; it asks to wait {asked:.0f} s, longer than the {self._limits.wait:.0f} s allowed (maxWait)"
                )
            if attempt < self._limits.retries:
                sleep(asked if asked is not None else min(2.0**attempt / 2, self._limits.wait))
        raise SourceUnavailable(f"{said}; tried {self._limits.retries + 1} times")

    def _once(self, request: Request, conditions: Mapping[str, str]) -> Answer:
        for _ in range(MOST_REDIRECTS + 1):
            if not self._same_origin(request.url):
                raise SourceUnavailable(
                    f"{_place(self._location)} leads to another host, {urlsplit(request.url).hostname}; that is not followed"
                )
            answer = self._send(request, conditions)
            if isinstance(answer, Answer):
                return answer
            request = Request(self.without_secret(urljoin(request.url, answer)), body=request.body)
        raise SourceUnavailable(f"{_place(self._location)} leads in a circle")

    def _send(self, request: Request, conditions: Mapping[str, str], renewed: bool = False) -> Answer | str:
        """The answer, or the address to go to."""
        self._pace()
        url, method, trouble = request.url, ("GET" if request.body is None else "POST"), ""
        try:
            response = self._session.request(
                method, url, params=request.params, json=request.body, headers=dict(conditions), auth=self._proof,
                timeout=(CONNECT_SECONDS, self._limits.timeout), stream=True, allow_redirects=False,
            )  # fmt: skip
            with response:
                if response.status_code in REDIRECTS:
                    return str(response.headers.get("Location", ""))
                if response.status_code == 304:
                    return Answer(url, b"", response.headers, changed=False)
                body = self._body(response)
        except (requests.RequestException, HTTPError) as error:
            trouble = _trouble(error)
        if trouble:
            raise Passing(f"{_place(url)}: {trouble}")
        if response.status_code == 401 and not renewed and self._proof.renew():
            return self._send(request, conditions, renewed=True)
        return self._judged(url, response, body)

    def _judged(self, url: str, response: requests.Response, body: bytes) -> Answer:
        status = response.status_code
        if status in (401, 403):
            key = f"secret {self._proof.name} is not accepted" if self._proof.name else "it wants a secret, and the contract names none"
            raise SourceUnavailable(f"{_place(url)} answers {status}: {key}")
        if status in PASSING:
            raise Passing(f"{_place(url)} answers {status}", _wait(response))
        if status == 204:
            return Answer(url, b"", response.headers)
        if status != 200:
            raise Rejected(f"{_place(url)} answers {status}{self._complaint(response, body)}")
        if _is_web_page(response, body):
            raise Passing(f"{_place(url)} answers with a web page instead of data: is it down, or does it want a login?")
        if not body:
            raise Passing(f"{_place(url)} answers with nothing")
        return Answer(url, body, response.headers, next_link=response.links.get("next", {}).get("url"))

    def _body(self, response: requests.Response) -> bytes:
        parts, size, deadline = [], 0, time.monotonic() + SLOWEST * self._limits.timeout
        # `read1` gives what is there: a chunk asked for in full would wait for the last byte of it, however slowly they come.
        while chunk := response.raw.read1(CHUNK, decode_content=True):
            parts.append(chunk)
            size += len(chunk)
            if size > self._limits.page_bytes:
                raise Unacceptable.because(
                    "too_large",
                    f"Một trang lớn hơn {self._limits.page_bytes} byte",
                    f"One page is larger than {self._limits.page_bytes} bytes (maxPageBytes)",
                )
            if time.monotonic() > deadline:
                raise requests.Timeout
        return b"".join(parts)

    def _pace(self) -> None:
        """Keep to the rate that the service allows."""
        if self._limits.rate:
            pause = self._last + 60 / self._limits.rate - time.monotonic()
            if self._last and pause > 0:
                sleep(pause)
            self._last = time.monotonic()

    def _complaint(self, response: requests.Response, body: bytes) -> str:
        if _is_web_page(response, body):
            return ""
        # Hidden first and cut then: half a key would not be known for one.
        text = " ".join(self.hide(body[:CHUNK].decode("utf-8", "replace")).split())
        return f": {text[:SHOWN]}" if text else ""

    def _same_origin(self, url: str) -> bool:
        """The contract's own host; a step from http to https on it is no other."""
        scheme, host, _ = self._origin
        return _origin(url) == self._origin or (scheme == "http" and _origin(url) == ("https", host, 443))

    def _token(self, url: str, form: dict[str, str], headers: dict[str, str]) -> Mapping[str, Any]:
        """Ask a token service. Its address stands in the contract: no redirect is followed, no other secret sent along."""
        parts = urlsplit(url)
        if parts.scheme != "https" and not self._limits.plain_http and parts.hostname not in LOOPBACK:
            raise SourceUnavailable(f"{_place(url)}: the secret would travel unencrypted")
        trouble = ""
        answer: Any = None
        try:
            response = requests.post(
                url, data=form, headers=headers, auth=lambda request: request,
                timeout=(CONNECT_SECONDS, self._limits.timeout), allow_redirects=False,
            )  # fmt: skip
            answer = msgspec.json.decode(response.content) if response.status_code == 200 else None
        except requests.RequestException as error:
            trouble = _trouble(error)
        except msgspec.DecodeError:
            trouble = "the answer is no JSON"
        if trouble:
            raise Passing(f"{_place(url)}: {trouble}")
        if response.status_code in PASSING:
            raise Passing(f"{_place(url)} answers {response.status_code}", _wait(response))
        if response.status_code != 200 or not isinstance(answer, dict):
            raise SourceUnavailable(f"{_place(url)} answers {response.status_code}: the client's id or its secret is not accepted")
        return answer


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _place(url: str) -> str:
    """An address for messages: without user, parameters or fragment."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


def _wait(response: requests.Response) -> float | None:
    """Seconds that `Retry-After` asks for, given in seconds or as a date."""
    header = response.headers.get("Retry-After", "")
    if header.isdigit():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None


def _is_web_page(response: requests.Response, body: bytes) -> bool:
    return "html" in response.headers.get("Content-Type", "").lower() or body[:64].lstrip().lower().startswith(
        (b"<!doctype html", b"<html")
    )


def _trouble(error: Exception) -> str:
    """What broke, in words of our own: the library's quote addresses."""
    for kind, words in (
        (requests.exceptions.ProxyError, "the proxy does not answer"),
        (requests.exceptions.SSLError, "its certificate is not trusted, or it speaks no TLS"),
        (requests.exceptions.ConnectTimeout, "does not answer"),
        (requests.exceptions.Timeout, "answers too slowly"),
        (TimeoutError_, "answers too slowly"),
        (DecodeError, "the answer is damaged"),
        (ProtocolError, "the connection broke off"),
        (requests.exceptions.ConnectionError, "cannot be reached, or the connection broke off"),
    ):
        if isinstance(error, kind):
            return words
    return f"the request fails ({type(error).__name__})"
