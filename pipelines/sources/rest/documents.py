"""JSON answers → pages. Records pass through as the service wrote them: a number keeps its digits, none is parsed on the way."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from pipelines.sources.rest.answer import Answer, Unacceptable

Record = dict[str, Raw]
ONE_LINE = bytes.maketrans(b"\r\n", b"  ")
_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_LIST = msgspec.json.Decoder(list[Record])
_LINES = msgspec.json.Encoder()


class Document:
    """A JSON document whose members are looked up by path, ``data.items``, without parsing what lies beside it.

    Raises `Unacceptable` where the text is no JSON.
    """

    def __init__(self, text: bytes) -> None:
        # Line breaks are never part of a JSON value: without them each record fits on a line.
        self._root = Raw(text.translate(ONE_LINE))
        self._members: dict[str, dict[str, Raw]] = {}

    def at(self, path: str) -> Raw | None:
        """The value there; None where there is none, or null."""
        value: Raw | None = self._root
        parent = ""
        for name in filter(None, path.split(".")):
            if value is None or not _starts(value, b"{"):
                return None
            if parent not in self._members:
                self._members[parent] = _MEMBERS.decode(value)
            value = self._members[parent].get(name)
            parent += f".{name}"
        return None if value is None or _is_null(value) else value

    def plain(self, path: str) -> Any:
        """The value there, parsed."""
        value = self.at(path)
        return None if value is None else msgspec.json.decode(value)

    def names(self, path: str) -> list[str]:
        """Members of the object there."""
        value = self.at(path)
        return list(_MEMBERS.decode(value)) if value is not None and _starts(value, b"{") else []


def document(answer: Answer) -> Document:
    """The answer as a JSON document, in UTF-8 whatever it came in."""
    try:
        text = answer.body.decode(charset(answer) or "utf-8-sig")
        found = Document(text.removeprefix("\ufeff").encode())
        found.names("")
    except (UnicodeDecodeError, LookupError) as error:
        raise unreadable("JSON", str(error)) from error
    except msgspec.DecodeError as error:
        raise unreadable("JSON", str(error)) from error
    return found


def charset(answer: Answer) -> str:
    """What the answer says it is encoded in; nothing where it says nothing, or UTF-8."""
    named = answer.headers.get("Content-Type", "").lower().partition("charset=")[2].partition(";")[0].strip(" \"'")
    return "" if named in ("utf-8", "utf8") else named


def unreadable(format_: str, why: str) -> Unacceptable:
    """Why comes from a parser and names a place in the text, not the text."""
    return Unacceptable.because("unreadable", f"Dữ liệu nhận được không phải {format_}: {why}", f"The answer is not {format_}: {why}")


def embedded(found: Document, path: str) -> Document:
    """The document that stands as text inside another."""
    try:
        inner = Document(str(found.plain(path)).encode())
        inner.names("")
    except msgspec.DecodeError as error:
        raise unreadable("JSON", str(error)) from error
    return inner


def records_at(found: Document, path: str) -> list[Record]:
    """The records there; one object counts as one, null as none. Raises `Unacceptable` where there are none to be."""
    value = found.at(path)
    if value is None and path and path.rpartition(".")[2] not in found.names(path.rpartition(".")[0]):
        lists = [name for name in found.names("") if _starts(found.at(name) or Raw(b"0"), b"[")]
        hint = (f"; có phải {lists[0]}?", f"; is it `{lists[0]}`?") if lists else ("", "")
        raise Unacceptable.because(
            "no_records", f"Không thấy danh sách bản ghi ở «{path}»{hint[0]}", f"There are no records at `{path}`{hint[1]}"
        )
    if value is None:
        return []
    if _starts(value, b'"'):
        return records_at(embedded(found, path), "")
    try:
        return _LIST.decode(b"[" + bytes(value) + b"]" if _starts(value, b"{") else value)
    except msgspec.ValidationError:
        place = f"«{path}»" if path else "gốc"
        raise Unacceptable.because(
            "no_records", f"Ở {place} không phải là danh sách đối tượng", f"What stands at `{path or 'the root'}` is no list of objects"
        ) from None
    except msgspec.DecodeError as error:
        raise unreadable("JSON", str(error)) from error


def without(records: list[Record], ignored: frozenset[str]) -> list[Record]:
    """The records without some fields."""
    return [{name: value for name, value in record.items() if name not in ignored} for record in records] if ignored else records


class Fields:
    """Which columns the records' fields become: an object's members become columns of their own, ``outer_inner``.

    ``known`` tells whether the contract has a column for a name as it is (a geometry, say, is not taken apart).
    """

    def __init__(self, known: Callable[[str], bool]) -> None:
        self._known = known
        self._seen: dict[str, frozenset[str]] = {}

    def of(self, records: list[Record]) -> frozenset[str]:
        for name in set().union(*records) - self._seen.keys():
            if self._known(name):
                self._seen[name] = frozenset({name})
                continue
            value = next((record[name] for record in records if name in record and not _is_null(record[name])), None)
            if value is not None:  # a field without a value yet is judged when it has one
                inner = _MEMBERS.decode(value) if _starts(value, b"{") else None
                self._seen[name] = frozenset({name} if inner is None else {f"{name}_{member}" for member in inner})
        return frozenset().union(*self._seen.values())


def lines(records: list[Record]) -> bytes:
    """The records, one to a line."""
    return _LINES.encode_lines(records)


def values(records: list[Record], name: str) -> list[Any]:
    """One field of every record that has it, parsed."""
    return msgspec.json.decode(b"[" + b",".join(bytes(record[name]) for record in records if name in record) + b"]")


def _starts(value: Raw, sign: bytes) -> bool:
    return bytes(memoryview(value)[:64]).lstrip().startswith(sign)


def _is_null(value: Raw) -> bool:
    return len(memoryview(value)) < 16 and bytes(value).strip() == b"null"
