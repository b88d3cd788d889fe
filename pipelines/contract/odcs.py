"""ODCS file → `Contract`, collecting every mistake on the way.

What ODCS has a field for stands in that field; the few things it has none for stand in `customProperties` under the
names in `DATASET_PROPERTIES` and `COLUMN_PROPERTIES` (documented in docs/contract.md).
"""

import hashlib
import json
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml

from pipelines.contract.expectations import speaks_of_the_store, with_expectation
from pipelines.contract.fields import unknown_fields
from pipelines.contract.metrics import Quality, Table, quality_of
from pipelines.contract.model import (
    CYCLE_LENGTH,
    Access,
    Agency,
    Column,
    Contract,
    Expectations,
    Level,
    LoadMode,
    Personal,
    Reference,
    Sample,
    Unique,
)
from pipelines.contract.options import options_of
from pipelines.contract.periods import PERIODS, period_of
from pipelines.contract.problem import Problem
from pipelines.contract.reading import reading_of
from pipelines.contract.semantic import Binder
from pipelines.contract.source import source_of
from pipelines.contract.yaml_lines import line_of

DATASET_PROPERTIES = {
    "nameEn", "descriptionEn", "access", "personalData", "legalBasis", "licence", "loadMode", "delivery", "cycle",
    "provenance", "keywords", "quarantineThreshold", "sample", "reading", "period",
}  # fmt: skip
COLUMN_PROPERTIES = {"titleEn", "semanticType", "personalData", "unit", "synonyms", "sample", "quarantineThreshold"}
SQL_TYPES = {
    "string": "VARCHAR", "integer": "BIGINT", "number": "DECIMAL(18,4)", "boolean": "BOOLEAN", "date": "DATE",
    "timestamp": "TIMESTAMP",
}  # fmt: skip
DELIVERIES = ("xlsx", "csv", "json", "xml", "geojson", "rest", "postgres", "sqlserver")
STATUSES = ("draft", "proposed", "active", "deprecated", "retired")
NAME = re.compile(r"[a-z][a-z0-9_]*")
REFERENCE = re.compile(r"\.\./(?P<dataset>[a-z0-9-]+/[a-z0-9-]+)\.odcs\.yaml#/schema/[a-z0-9_]+/properties/(?P<column>[a-z0-9_]+)")
"""ODCS's fully qualified reference, from a contract's file to a column in another's."""
DRAFT = re.compile(rb"^status: *['\"]?draft\b", re.MULTILINE)
"""Found in the text, because a draft may not be valid YAML yet."""
SAMPLE = re.compile(
    r"code:.+|number:-?[0-9.]+\.\.-?[0-9.]+|date:[0-9]{4}-[0-9]{2}-[0-9]{2}\.\.[0-9]{4}-[0-9]{2}-[0-9]{2}|words:\[.+\]|person|company|place|sql:.+",
    re.DOTALL,
)
SAMPLE_FIX = (
    "write one of: code:<prefix>, number:<low>..<high>, date:<first>..<last>, words:[a, b], person, company, place, sql:<expression>"
)
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class ContractReader:
    """Reads one file; `contract` is None when `problems` holds anything."""

    def __init__(self, file: Path, root: Path, binder: Binder, agencies: dict[str, Agency]) -> None:
        self.file, self.binder, self.agencies = file, binder, agencies
        self.semantic_types = binder.types
        self.id = file.relative_to(root).as_posix().removesuffix(".odcs.yaml")
        self.problems: list[Problem] = []
        self.is_draft = False
        self.contract = self._read()

    def _problem(self, path: tuple[str | int, ...], message: str, fix: str) -> None:
        field = ".".join(map(str, path)) or "file"
        self.problems.append(Problem(self.file, line_of(self.file, path), field, message, fix))

    def _known_fields(self, path: tuple[str | int, ...], element: str, raw: dict[str, Any]) -> None:
        for field, message, fix in unknown_fields(element, raw):
            self._problem((*path, field), message, fix)

    def _choice(self, path: tuple[str | int, ...], value: Any, choices: Any, default: Any = None) -> Any:
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or value not in choices:
            near = get_close_matches(str(value), [str(c) for c in choices], 1)
            hint = f"did you mean `{near[0]}`? " if near else ""
            self._problem(
                path,
                "is missing" if value is None else f"`{value}` is not known",
                f"{hint}write one of: {', '.join(map(str, choices))}",
            )
        return value

    def _text(self, path: tuple[str | int, ...], value: Any, what: str, required: bool = True) -> str:
        if value is None or value == "":
            if required:
                self._problem(path, "is missing", f"write {what}")
            return ""
        if not isinstance(value, str):
            self._problem(path, f"is {type(value).__name__}, not text", f"write {what} in quotes")
            return str(value)
        return value.strip()

    def _items(self, path: tuple[str | int, ...], raw: Any) -> list[dict[str, Any]]:
        """A list of mappings; whatever is not one is a mistake and left out."""
        if raw is None:
            return []
        if not isinstance(raw, list):
            self._problem(path, "is not a list", "write its entries as lines that start with `- `")
            return []
        for i, item in enumerate(raw):
            if not isinstance(item, dict):
                self._problem((*path, i), "is not a mapping", "write `name: value` pairs")
        return [item for item in raw if isinstance(item, dict)]

    def _mapping(self, path: tuple[str | int, ...], raw: Any) -> dict[str, Any]:
        if raw is None:
            return {}
        if not isinstance(raw, dict):
            self._problem(path, "is not a mapping", "write `name: value` pairs")
            return {}
        return raw

    def _properties(self, path: tuple[str | int, ...], raw: Any, known: set[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for i, item in enumerate(self._items(path, raw)):
            if not isinstance(item.get("property"), str) or "value" not in item:
                self._problem((*path, i), "is not a property", "write `- {property: name, value: …}`")
                continue
            if item["property"] not in known:
                near = get_close_matches(str(item["property"]), known, 1)
                self._problem(
                    (*path, i),
                    f"`{item['property']}` is not a known property",
                    f"did you mean `{near[0]}`?" if near else f"known are: {', '.join(sorted(known))}",
                )
            found[item["property"]] = item["value"]
        return found

    def _read(self) -> Contract | None:
        content = self.file.read_bytes()
        self.is_draft = DRAFT.search(content) is not None
        try:
            raw = yaml.load(content, Loader=yaml.CSafeLoader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            self.problems.append(
                Problem(
                    self.file,
                    mark.line + 1 if mark else 1,
                    "file",
                    f"is not valid YAML: {getattr(error, 'problem', error)}",
                    "check quotes, colons and indentation around this line",
                )
            )
            return None
        if not isinstance(raw, dict):
            self._problem((), "is empty or not a mapping", "start from another contract of the same domain")
            return None
        return self._contract(raw)

    def _contract(self, raw: dict[str, Any]) -> Contract | None:
        self._known_fields((), "contract", raw)
        parts = self.id.split("/")
        if len(parts) != 2 or not all(SLUG.fullmatch(p) for p in parts):
            self._problem((), f"the path `{self.id}` is no dataset id", "use <domain>/<dataset>.odcs.yaml, lower case, hyphens")
        if raw.get("id") != self.id:
            self._problem(("id",), f"`{raw.get('id')}` is not the file's path", f"write `id: {self.id}`")
        if raw.get("domain") != parts[0]:
            self._problem(("domain",), f"`{raw.get('domain')}` is not the file's folder", f"write `domain: {parts[0]}`")
        for field, want in (("apiVersion", "v3.1.0"), ("kind", "DataContract")):
            if raw.get(field) != want:
                self._problem((field,), f"`{raw.get(field)}` is not supported", f"write `{field}: {want}`")
        where = ("customProperties",)
        properties = self._properties(where, raw.get("customProperties"), DATASET_PROPERTIES)
        agency = self._mapping(("team",), raw.get("team")).get("name")
        self._choice(("team", "name"), agency, self.agencies)
        description = self._mapping(("description",), raw.get("description"))
        schemas = raw.get("schema")
        if not isinstance(schemas, list) or len(schemas) != 1 or not isinstance(schemas[0], dict):
            self._problem(("schema",), "must hold exactly one table", "a dataset is one table: one entry under `schema`")
            return None
        table = schemas[0]
        self._known_fields(("schema", 0), "table", table)
        columns, qualities = self._columns(table.get("properties"), parts)
        whole = self._quality(("schema", 0, "quality"), table.get("quality"), self._table(parts, {c.name: c.type for c in columns}))
        expectations = self._expectations(table.get("quality"), {c.name: c.type for c in columns})
        period = self._period(where, properties.get("period"), columns)
        columns = self.binder.bind(columns, period)
        access = self._choice(where, properties.get("access"), get_args(Access))
        personal = self._choice(where, properties.get("personalData"), get_args(Personal))
        self._personal(columns, personal)
        licence = properties.get("licence")
        if access == "open" and not licence:
            self._problem(where, "open data has no licence", "add `- {property: licence, value: CC-BY-4.0}`")
        if not any(c.key for c in columns):
            self._problem(("schema", 0, "properties"), "no column is the key", "mark what makes a row unique with `primaryKey: true`")
        cycle = self._choice(where, properties.get("cycle"), tuple(CYCLE_LENGTH))
        threshold = self._share(where, properties.get("quarantineThreshold"), 0.1)
        promises = self._items(("slaProperties",), raw.get("slaProperties"))
        grace = next((s.get("value") for s in promises if s.get("property") == "latency"), 10)
        if not isinstance(grace, int) or grace < 0:
            self._problem(("slaProperties",), f"latency `{grace}` is not a number of days", "write a whole number such as 10")
            grace = 10
        reading, faults = reading_of(properties.get("reading"), {c.name for c in columns})
        for fault in faults:
            self._problem(where, *fault)
        load_mode = self._choice(where, properties.get("loadMode"), get_args(LoadMode))
        source, faults = source_of(self._items(("servers",), raw.get("servers")), {c.name for c in columns}, load_mode)
        for fault in faults:
            self._problem(("servers",), *fault)
        contract: dict[str, Any] = dict(  # noqa: C408 - read as the keyword arguments they become
            id=self.id,
            file=self.file,
            version=str(self._text(("version",), raw.get("version"), "the contract's version, e.g. 1.0.0")),
            status=self._choice(("status",), raw.get("status"), STATUSES),
            title=self._text(("name",), raw.get("name"), "the Vietnamese title"),
            title_en=self._text(where, properties.get("nameEn"), "the English title (property nameEn)"),
            purpose=self._text(("description", "purpose"), description.get("purpose"), "what the dataset holds, in Vietnamese"),
            description_en=self._text(where, properties.get("descriptionEn"), "an English sentence (property descriptionEn)"),
            usage=self._text(("description", "usage"), description.get("usage"), "who uses it for what", required=False),
            limitations=self._text(("description", "limitations"), description.get("limitations"), "", required=False),
            domain=parts[0],
            agency=agency,
            access=access,
            personal=personal,
            legal_basis=properties.get("legalBasis"),
            licence=licence,
            load_mode=load_mode,
            delivery=self._choice(where, properties.get("delivery"), DELIVERIES),
            cycle=cycle,
            grace_days=grace,
            provenance=self._text(where, properties.get("provenance"), "listed: …, seed or inferred (property provenance)"),
            keywords=self._words(where, properties.get("keywords")),
            columns=tuple(columns),
            rules=tuple(whole.rules),
            group_rules=tuple(whole.group_rules),
            unique=self._unique(columns, [whole, *qualities]),
            references=self._references(table, columns, raw_columns=table.get("properties")),
            checks=tuple(check for quality in (whole, *qualities) for check in quality.checks),
            period=period,
            expectations=expectations,
            sample=self._sample(where, properties.get("sample"), {c.name for c in columns}),
            reading=reading,
            threshold=threshold,
            source=source,
        )
        for column in columns:
            if (column.sample or "").startswith("sql:") and column.name in contract["sample"].columns:
                self._problem(
                    where, f"`{column.name}` is computed twice: by its own sample and in sample.columns", "keep one of the two expressions"
                )
        if self.problems:
            return None
        query = self.file.with_name(self.file.name.removesuffix(".odcs.yaml") + ".sql")
        judged = json.dumps(
            [
                *(contract["load_mode"], threshold, period),
                *(
                    repr(judging)
                    for judging in (reading, columns, whole.rules, whole.group_rules, contract["unique"], contract["references"])
                ),
                *([repr(source)] if source else []),
            ],
            ensure_ascii=False,
        ) + (query.read_text(encoding="utf-8") if query.exists() else "")
        return Contract(**contract, fingerprint=hashlib.sha256(judged.encode()).hexdigest()[:16])

    def _table(self, parts: list[str], types: dict[str, str]) -> Table:
        return Table(parts[0].replace("-", "_"), parts[-1].replace("-", "_"), types)

    def _columns(self, raw: Any, parts: list[str]) -> tuple[list[Column], list[Quality]]:
        """The columns, and what the `quality` of each says."""
        path: tuple[str | int, ...] = ("schema", 0, "properties")
        if not isinstance(raw, list) or not raw:
            self._problem(path, "the table has no columns", "list them under `properties`")
            return [], []
        columns: list[Column] = []
        qualities: list[Quality] = []
        types = {str(item.get("name")): str(item.get("logicalType")) for item in raw if isinstance(item, dict)}
        for i, item in enumerate(raw):
            if not isinstance(item, dict):
                self._problem((*path, i), "is not a column", "write `- name: …`")
                continue
            name = str(item.get("name"))
            quality = self._quality((*path, i, "quality"), item.get("quality"), self._table(parts, types), name)
            column = self._column((*path, i), item, len(columns) + 1, quality)
            if column.name in {c.name for c in columns}:
                self._problem((*path, i, "name"), f"`{column.name}` occurs twice", "give each column its own name")
            columns.append(column)
            qualities.append(quality)
        return columns, qualities

    def _column(self, path: tuple[str | int, ...], raw: dict[str, Any], position: int, quality: Quality) -> Column:
        self._known_fields(path, "column", raw)
        name = self._text((*path, "name"), raw.get("name"), "the column's name")
        if name and not NAME.fullmatch(name):
            self._problem((*path, "name"), f"`{name}` is not a column name", "use lower case letters without accents, digits and _")
        properties = self._properties((*path, "customProperties"), raw.get("customProperties"), COLUMN_PROPERTIES)
        semantic_id = properties.get("semanticType")
        semantic = self.semantic_types.get(semantic_id) if isinstance(semantic_id, str) else None
        if semantic_id and not semantic:
            self._choice((*path, "customProperties"), semantic_id, self.semantic_types)
        kind = self._choice((*path, "logicalType"), raw.get("logicalType"), tuple(SQL_TYPES))
        if semantic and kind and semantic.type != kind:
            self._problem(
                (*path, "logicalType"), f"`{semantic.id}` is {semantic.type}, not {kind}", f"write `logicalType: {semantic.type}`"
            )
        options, faults = options_of(self._mapping((*path, "logicalTypeOptions"), raw.get("logicalTypeOptions")), str(kind))
        for option, message, fix in faults:
            self._problem((*path, "logicalTypeOptions", option), message, fix)
        values = quality.values or (semantic.values if semantic else ())
        first = lambda own, inherited: own if own is not None else inherited
        return Column(
            name=name,
            title=self._text((*path, "businessName"), raw.get("businessName"), "the Vietnamese title of the column"),
            title_en=self._text((*path, "customProperties"), properties.get("titleEn"), "the English title (property titleEn)"),
            description=self._text((*path, "description"), raw.get("description"), "what the column holds"),
            type=kind or "string",
            sql_type=raw.get("physicalType") or (semantic.sql_type if semantic else None) or SQL_TYPES.get(str(kind), "VARCHAR"),
            required=bool(raw.get("required")) or bool(raw.get("primaryKey")) or quality.required,
            key=(place if isinstance(place := raw.get("primaryKeyPosition"), int) else position) if raw.get("primaryKey") else 0,
            unique=bool(raw.get("unique")),
            semantic=semantic_id,
            personal=self._choice(
                (*path, "customProperties"), properties.get("personalData"), get_args(Personal), semantic.personal if semantic else "none"
            ),
            values=values,
            pattern=options.pattern or quality.pattern or (semantic.pattern if semantic else None),
            minimum=first(options.minimum, semantic.minimum if semantic else None),
            maximum=first(options.maximum, semantic.maximum if semantic else None),
            exclusive_minimum=options.exclusive_minimum,
            exclusive_maximum=options.exclusive_maximum,
            multiple_of=options.multiple_of,
            min_length=options.min_length,
            max_length=first(options.max_length, semantic.max_length if semantic else None),
            format=options.format,
            check=semantic.check if semantic else None,
            unit=properties.get("unit") or (semantic.unit if semantic else None),
            references=self._reference(raw.get("relationships")),
            rules=tuple(quality.rules),
            synonyms=self._words((*path, "customProperties"), properties.get("synonyms")),
            example=semantic.example if semantic else None,
            sample=self._sample_word((*path, "customProperties"), properties.get("sample")),
            identifier=bool(semantic and semantic.identifier),
            threshold=self._share((*path, "customProperties"), properties.get("quarantineThreshold")),
        )

    def _share(self, path: tuple[str | int, ...], raw: Any, default: float | None = None) -> float | None:
        """`quarantineThreshold` of the dataset or of a column."""
        if raw is None:
            return default
        if not isinstance(raw, int | float) or isinstance(raw, bool) or not 0 <= raw <= 1:
            self._problem(path, f"quarantineThreshold `{raw}` is not a share", "write a number between 0 and 1, e.g. 0.1")
            return default
        return float(raw)

    def _sample_word(self, path: tuple[str | int, ...], raw: Any) -> str | None:
        if raw is not None and not (isinstance(raw, str) and SAMPLE.fullmatch(raw)):
            self._problem(path, f"sample `{raw}` is not understood", SAMPLE_FIX)
            return None
        return raw

    def _words(self, path: tuple[str | int, ...], raw: Any) -> tuple[str, ...]:
        if raw is not None and not isinstance(raw, list):
            self._problem(path, f"`{raw}` is not a list", "write [one, another]")
            return ()
        return tuple(str(word) for word in raw or ())

    def _quality(self, path: tuple[str | int, ...], raw: Any, table: Table, column: str | None = None) -> Quality:
        quality = quality_of(self._items(path, raw), table, column)
        for place, message, fix in quality.faults:
            self._problem((*path, *place), message, fix)
        return quality

    def _period(self, path: tuple[str | int, ...], named: Any, columns: list[Column]) -> str | None:
        if named is None:
            return period_of(columns)
        column = next((c for c in columns if c.name == named), None)
        if column is None or not (column.type in ("date", "timestamp") or column.semantic in PERIODS):
            self._problem(path, f"period `{named}` is no column that dates a row", f"name a date, or one of the types {', '.join(PERIODS)}")
            return None
        return column.name

    def _unique(self, columns: list[Column], qualities: list[Quality]) -> tuple[Unique, ...]:
        found = [Unique((c.name,)) for c in columns if c.unique] + [u for quality in qualities for u in quality.unique]
        return tuple(dict.fromkeys(found))

    # ---- references

    def _reference(self, raw: Any) -> tuple[str, str] | None:
        """What a column refers to; mistakes are reported by `_references`."""
        for relation in raw if isinstance(raw, list) else ():
            if isinstance(relation, dict) and (target := REFERENCE.fullmatch(str(relation.get("to", "")))):
                return target["dataset"], target["column"]
        return None

    def _references(self, table: dict[str, Any], columns: list[Column], raw_columns: Any) -> tuple[Reference, ...]:
        """Every foreign key: of single columns, and those of several that stand at the table."""
        found: list[Reference] = []
        for i, item in enumerate(raw_columns if isinstance(raw_columns, list) else ()):
            path: tuple[str | int, ...] = ("schema", 0, "properties", i, "relationships")
            relations = self._items(path, item.get("relationships")) if isinstance(item, dict) else []
            found += [r for j, relation in enumerate(relations) if (r := self._relation((*path, j), relation, [str(item.get("name"))]))]
        path = ("schema", 0, "relationships")
        names = {c.name for c in columns}
        for j, relation in enumerate(self._items(path, table.get("relationships"))):
            given = relation.get("from")
            own = [str(name).rpartition(".")[2] for name in (given if isinstance(given, list) else [given])]
            if given is None or not set(own) <= names:
                self._problem((*path, j, "from"), f"`{given}` names no columns of this table", "write `from: [<table>.<column>, …]`")
            elif reference := self._relation((*path, j), relation, own):
                found.append(reference)
        return tuple(found)

    def _relation(self, path: tuple[str | int, ...], raw: dict[str, Any], own: list[str]) -> Reference | None:
        self._known_fields(path, "relationship", raw)
        if raw.get("type", "foreignKey") != "foreignKey":
            self._problem((*path, "type"), f"`{raw['type']}` is not known", "write `type: foreignKey`")
        level = self._properties((*path, "customProperties"), raw.get("customProperties"), {"severity"}).get("severity", "warning")
        if self._choice((*path, "customProperties"), level, get_args(Level)) != level:
            return None
        to = raw.get("to")
        targets = [REFERENCE.fullmatch(str(name)) for name in (to if isinstance(to, list) else [to])]
        matched = [target for target in targets if target]
        if len(matched) != len(own) or len(matched) != len(targets) or len({t["dataset"] for t in matched}) != 1:
            many = "one column of one dataset for each of `from`: " if len(own) > 1 else ""
            self._problem(
                path, f"`{to}` names no column", f"write {many}`to: ../<domain>/<dataset>.odcs.yaml#/schema/<table>/properties/<column>`"
            )
            return None
        return Reference(tuple(own), matched[0]["dataset"], tuple(t["column"] for t in matched), level)

    def _expectations(self, raw: Any, types: dict[str, str]) -> Expectations:
        """The entries of the table's `quality` that speak of the store and its history."""
        known = Expectations()
        for i, item in enumerate(raw if isinstance(raw, list) else ()):
            if not isinstance(item, dict) or not speaks_of_the_store(item):
                continue
            path = ("schema", 0, "quality", i)
            name = self._text((*path, "name"), item.get("name"), "the expectation's name")
            vi = self._text((*path, "description"), item.get("description"), "what is expected, in Vietnamese")
            properties = self._items((*path, "customProperties"), item.get("customProperties"))
            en = next((str(p["value"]) for p in properties if p.get("property") == "descriptionEn" and p.get("value")), vi)
            report = lambda field, message, fix, path=path: self._problem((*path, field), message, fix)
            known = with_expectation(known, item, name, vi, en, types, report)
        return known

    def _personal(self, columns: list[Column], declared: Personal) -> None:
        ranks = get_args(Personal)
        if declared not in ranks:
            return
        highest = max((c.personal for c in columns), key=ranks.index, default="none")
        if ranks.index(highest) > ranks.index(declared):
            names = ", ".join(c.name for c in columns if ranks.index(c.personal) > ranks.index(declared))
            self._problem(
                ("customProperties",),
                f"the dataset is declared `{declared}` but holds {highest} personal data ({names})",
                f"write `personalData: {highest}` or take the columns out",
            )

    def _sample(self, path: tuple[str | int, ...], raw: Any, names: set[str]) -> Sample:
        if raw is None:
            return Sample()
        try:
            sample = Sample(**raw)
            [*sample.totals.values(), *sample.counts.values(), *sample.columns.values()]
        except (TypeError, AttributeError):
            self._problem(path, f"sample {raw} is not understood", "known: rows, totals, counts, columns")
            return Sample()
        for name in [*sample.totals, *sample.counts, *sample.columns]:
            if name not in names:
                self._problem(path, f"sample names the unknown column `{name}`", f"columns are: {', '.join(sorted(names))}")
        return sample
