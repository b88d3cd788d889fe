"""JSON answers → pages. Records pass through as the service wrote them: a number keeps its digits, none is parsed on the way."""

from codecs import BOM_UTF8
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from pipelines.sources.rest import xml_documents
from pipelines.sources.rest.answer import Answer, Form, Unacceptable, unreadable

Record = dict[str, Raw]
FILE = Form(".json", b"[\n", b",\n", b"\n]\n")
ONE_LINE = bytes.maketrans(b"\r\n", b"  ")
_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_LIST = msgspec.json.Decoder(list[Record])
_LINES = msgspec.json.Encoder()


class Document:
    """A JSON document whose members are looked up by path, ``data.items``, without parsing what lies beside it.

    Raises `msgspec.DecodeError` where the text is no JSON; of a list, only when it is read.
    """

    def __init__(self, text: bytes) -> None:
        # Line breaks are never part of a JSON value: without them each record fits on a line.
        self._root = Raw(text.translate(ONE_LINE) if b"\n" in text or b"\r" in text else text)
        self._objects: dict[str, dict[str, Raw]] = {}
        self.members("")

    def members(self, path: str) -> dict[str, Raw]:
        """The members of the object there; of anything else, none."""
        if path not in self._objects:
            value = self.at(path)
            self._objects[path] = _MEMBERS.decode(value) if value is not None and _starts(value, b"{") else {}
        return self._objects[path]

    def at(self, path: str) -> Raw | None:
        """The value there, as written; None where there is none, or null."""
        parent, _, name = path.rpartition(".")
        value = self.members(parent).get(name) if path else self._root
        return None if value is None or _is_null(value) else value

    def plain(self, path: str) -> Any:
        """The value there, parsed."""
        value = self.at(path)
        return None if value is None else msgspec.json.decode(value)


def document(answer: Answer) -> Document:
    """The answer as a JSON document, in UTF-8 whatever it came in."""
    try:
        named = charset(answer)
        text = answer.body.decode(named or "utf-8")  # also finds out whether it is
        return Document(text.removeprefix("\ufeff").encode() if named else answer.body.removeprefix(BOM_UTF8))
    except UnicodeDecodeError as error:
        # Its own text quotes the bytes.
        raise unreadable("JSON", f"byte {error.start} is not {error.encoding}") from None
    except (LookupError, msgspec.DecodeError) as error:
        raise unreadable("JSON", str(error)) from error


def charset(answer: Answer) -> str:
    """What the answer says it is encoded in; nothing where it says nothing, or UTF-8."""
    named = answer.headers.get("Content-Type", "").lower().partition("charset=")[2].partition(";")[0].strip(" \"'")
    return "" if named in ("utf-8", "utf8") else named


def embedded(found: Document, path: str) -> Document:
    """The document that stands as text inside another."""
    try:
        return Document(str(found.plain(path) or "null").encode())
    except msgspec.DecodeError as error:
        raise unreadable("JSON", str(error)) from error


def records_at(found: Document, path: str) -> list[Record]:
    """The records there; one object counts as one, null as none. Raises `Unacceptable` where there are none to be."""
    value = found.at(path)
    parent, _, name = path.rpartition(".")
    if value is None and path and name not in found.members(parent):
        lists = [name for name, member in found.members("").items() if _starts(member, b"[")]
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
    """Which columns the records' fields become when the gate reads them: an object's members, and the elements of XML that stands
    as text in a field, become columns of their own, ``outer_inner``, or ``inner`` where only that is known.

    ``known`` tells for which names the contract has a column.
    """

    def __init__(self, known: Callable[[set[str]], set[str]]) -> None:
        self._known = known
        self._seen: dict[str, set[str]] = {}

    def of(self, records: list[Record]) -> frozenset[str]:
        if new := set().union(*records) - self._seen.keys():
            self._seen |= {name: {name} for name in self._known(new)}
        for name in new - self._seen.keys():
            value = next((record[name] for record in records if name in record and not _is_null(record[name])), None)
            if value is not None:  # a field without a value yet is judged when it has one
                self._seen[name] = self._inside(name, value)
        return frozenset().union(*self._seen.values())

    def _inside(self, name: str, value: Raw) -> set[str]:
        if _starts(value, b"{"):
            members = set(_MEMBERS.decode(value))
        elif _starts(value, b'"<') and (elements := xml_documents.fields_of(msgspec.json.decode(value))):
            members = set(elements)
        else:
            return {name}
        joined = {f"{name}_{member}": member for member in members}
        known = self._known(set(joined) | members)
        return {member if outer not in known and member in known else outer for outer, member in joined.items()}


def lines(records: list[Record]) -> bytes:
    """The records as members of a list, one to a line."""
    return _LINES.encode_lines(records).removesuffix(b"\n").replace(b"\n", b",\n")


def values(records: list[Record], name: str) -> list[Any]:
    """One field of every record that has it, parsed."""
    return msgspec.json.decode(b"[" + b",".join(bytes(record[name]) for record in records if name in record) + b"]")


def _starts(value: Raw, sign: bytes) -> bool:
    return bytes(memoryview(value)[:64]).lstrip().startswith(sign)


def _is_null(value: Raw) -> bool:
    return len(memoryview(value)) < 16 and bytes(value).strip() == b"null"
