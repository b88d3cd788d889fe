"""ODCS file → `Contract`, collecting every mistake on the way.

What ODCS has a field for stands in that field; the few things it has none for stand in `customProperties` under the
names in `DATASET_PROPERTIES` and `COLUMN_PROPERTIES` (documented in docs/contract.md).
"""

import hashlib
import json
import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import sqlglot
import sqlglot.errors
import yaml
from sqlglot import exp

from pipelines.contract.model import (
    CYCLE_LENGTH,
    Access,
    Agency,
    Check,
    Column,
    Contract,
    LoadMode,
    Personal,
    Rule,
    Sample,
    SemanticType,
)
from pipelines.contract.problem import Problem
from pipelines.contract.reading import reading_of
from pipelines.contract.source import source_of
from pipelines.contract.yaml_lines import line_of

DATASET_PROPERTIES = {
    "nameEn", "descriptionEn", "access", "personalData", "legalBasis", "licence", "loadMode", "delivery", "cycle",
    "provenance", "keywords", "quarantineThreshold", "sample", "reading",
}  # fmt: skip
COLUMN_PROPERTIES = {"titleEn", "semanticType", "personalData", "unit", "synonyms", "sample"}
SQL_TYPES = {
    "string": "VARCHAR", "integer": "BIGINT", "number": "DECIMAL(18,4)", "boolean": "BOOLEAN", "date": "DATE",
    "timestamp": "TIMESTAMP",
}  # fmt: skip
DELIVERIES = ("xlsx", "csv", "json", "xml", "geojson", "rest", "postgres", "sqlserver")
STATUSES = ("draft", "proposed", "active", "deprecated", "retired")
RULE_NODES = (
    exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ,
    exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Neg, exp.Between, exp.In, exp.Is, exp.Abs,
    exp.Round, exp.Length, exp.Coalesce, exp.Case, exp.If, exp.Like, exp.Tuple, exp.StartsWith, exp.Substring,
)  # fmt: skip
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

    def __init__(self, file: Path, root: Path, semantic_types: dict[str, SemanticType], agencies: dict[str, Agency]) -> None:
        self.file, self.semantic_types, self.agencies = file, semantic_types, agencies
        self.id = file.relative_to(root).as_posix().removesuffix(".odcs.yaml")
        self.problems: list[Problem] = []
        self.is_draft = False
        self.contract = self._read()

    def _problem(self, path: tuple[str | int, ...], message: str, fix: str) -> None:
        field = ".".join(map(str, path)) or "file"
        self.problems.append(Problem(self.file, line_of(self.file, path), field, message, fix))

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
        properties = self._properties(("customProperties",), raw.get("customProperties"), DATASET_PROPERTIES)
        where = ("customProperties",)
        agency = self._mapping(("team",), raw.get("team")).get("name")
        self._choice(("team", "name"), agency, self.agencies)
        description = self._mapping(("description",), raw.get("description"))
        schemas = raw.get("schema")
        if not isinstance(schemas, list) or len(schemas) != 1 or not isinstance(schemas[0], dict):
            self._problem(("schema",), "must hold exactly one table", "a dataset is one table: one entry under `schema`")
            return None
        table = schemas[0]
        columns = self._columns(table.get("properties"))
        rules, checks = self._quality(table.get("quality"), {c.name: c.type for c in columns})
        access = self._choice(where, properties.get("access"), get_args(Access))
        personal = self._choice(where, properties.get("personalData"), get_args(Personal))
        self._personal(columns, personal)
        licence = properties.get("licence")
        if access == "open" and not licence:
            self._problem(where, "open data has no licence", "add `- {property: licence, value: CC-BY-4.0}`")
        if not any(c.key for c in columns):
            self._problem(("schema", 0, "properties"), "no column is the key", "mark what makes a row unique with `primaryKey: true`")
        cycle = self._choice(where, properties.get("cycle"), tuple(CYCLE_LENGTH))
        threshold = properties.get("quarantineThreshold", 0.1)
        if not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
            self._problem(where, f"quarantineThreshold `{threshold}` is not a share", "write a number between 0 and 1, e.g. 0.1")
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
            rules=tuple(rules),
            checks=tuple(checks),
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
            [contract["load_mode"], threshold, repr(reading), [repr(c) for c in columns], [repr(r) for r in rules]]
            + ([repr(source)] if source else []),
            ensure_ascii=False,
        ) + (query.read_text(encoding="utf-8") if query.exists() else "")
        return Contract(**contract, fingerprint=hashlib.sha256(judged.encode()).hexdigest()[:16])

    def _columns(self, raw: Any) -> list[Column]:
        path: tuple[str | int, ...] = ("schema", 0, "properties")
        if not isinstance(raw, list) or not raw:
            self._problem(path, "the table has no columns", "list them under `properties`")
            return []
        columns: list[Column] = []
        for i, item in enumerate(raw):
            if not isinstance(item, dict):
                self._problem((*path, i), "is not a column", "write `- name: …`")
                continue
            column = self._column((*path, i), item, len(columns) + 1)
            if column.name in {c.name for c in columns}:
                self._problem((*path, i, "name"), f"`{column.name}` occurs twice", "give each column its own name")
            columns.append(column)
        return columns

    def _column(self, path: tuple[str | int, ...], raw: dict[str, Any], position: int) -> Column:
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
        options = self._mapping((*path, "logicalTypeOptions"), raw.get("logicalTypeOptions"))
        pattern = options.get("pattern") or (semantic.pattern if semantic else None)
        if pattern:
            try:
                re.compile(f"^(?:{pattern})$")
            except re.error as error:
                self._problem((*path, "logicalTypeOptions", "pattern"), f"is no regular expression: {error}", "correct the pattern")
        values = self._values(path, raw.get("quality")) or (semantic.values if semantic else ())
        references = None
        for relation in self._items((*path, "relationships"), raw.get("relationships")):
            if target := REFERENCE.fullmatch(str(relation.get("to", ""))):
                references = (target["dataset"], target["column"])
            else:
                self._problem(
                    (*path, "relationships"),
                    f"`{relation.get('to')}` names no column",
                    "write `to: ../<domain>/<dataset>.odcs.yaml#/schema/<table>/properties/<column>`",
                )
        low, high = options.get("minimum"), options.get("maximum")
        first = lambda own, inherited: own if own is not None else inherited
        return Column(
            name=name,
            title=self._text((*path, "businessName"), raw.get("businessName"), "the Vietnamese title of the column"),
            title_en=self._text((*path, "customProperties"), properties.get("titleEn"), "the English title (property titleEn)"),
            description=self._text((*path, "description"), raw.get("description"), "what the column holds"),
            type=kind or "string",
            sql_type=raw.get("physicalType") or (semantic.sql_type if semantic else None) or SQL_TYPES.get(str(kind), "VARCHAR"),
            required=bool(raw.get("required")) or bool(raw.get("primaryKey")),
            key=(place if isinstance(place := raw.get("primaryKeyPosition"), int) else position) if raw.get("primaryKey") else 0,
            unique=bool(raw.get("unique")),
            semantic=semantic_id,
            personal=self._choice(
                (*path, "customProperties"), properties.get("personalData"), get_args(Personal), semantic.personal if semantic else "none"
            ),
            values=values,
            pattern=pattern,
            minimum=first(low, semantic.minimum if semantic else None),
            maximum=first(high, semantic.maximum if semantic else None),
            min_length=options.get("minLength"),
            max_length=first(options.get("maxLength"), semantic.max_length if semantic else None),
            check=semantic.check if semantic else None,
            unit=properties.get("unit") or (semantic.unit if semantic else None),
            references=references,
            synonyms=self._words((*path, "customProperties"), properties.get("synonyms")),
            example=semantic.example if semantic else None,
            sample=self._sample_word((*path, "customProperties"), properties.get("sample")),
        )

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

    def _values(self, path: tuple[str | int, ...], raw: Any) -> tuple[str, ...]:
        for i, rule in enumerate(self._items((*path, "quality"), raw)):
            if rule.get("metric") == "invalidValues":
                values = self._mapping((*path, "quality", i, "arguments"), rule.get("arguments")).get("validValues")
                if not isinstance(values, list) or not values:
                    self._problem((*path, "quality", i), "a closed list has no values", "write `arguments: {validValues: [a, b]}`")
                    return ()
                return tuple(str(v) for v in values)
        return ()

    def _quality(self, raw: Any, types: dict[str, str]) -> tuple[list[Rule], list[Check]]:
        rules: list[Rule] = []
        checks: list[Check] = []
        for i, item in enumerate(self._items(("schema", 0, "quality"), raw)):
            path = ("schema", 0, "quality", i)
            name = self._text((*path, "name"), item.get("name"), "the rule's name")
            vi = self._text((*path, "description"), item.get("description"), "the reason shown to the clerk, in Vietnamese")
            props = {str(p.get("property")): p.get("value") for p in self._items((*path, "customProperties"), item.get("customProperties"))}
            en = str(props.get("descriptionEn") or vi)
            if item.get("type") == "custom" and item.get("engine") == "kho":
                expression = self._text((*path, "implementation"), item.get("implementation"), "a condition over the row's columns")
                for fault in rule_faults(expression, types):
                    self._problem((*path, "implementation"), *fault)
                rules.append(Rule(name, expression, vi, en))
            elif item.get("type") == "sql":
                if item.get("mustBe") != 0:
                    self._problem((*path, "mustBe"), "the query must count violations", "write `mustBe: 0`")
                checks.append(Check(name, self._text((*path, "query"), item.get("query"), "a query"), vi, en))
            else:
                self._problem(path, "this kind of rule is not known", "use `type: custom, engine: kho` for rows, `type: sql` for the table")
        return rules, checks

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


def rule_faults(expression: str, types: dict[str, str]) -> Iterator[tuple[str, str]]:
    """What makes ``expression`` unfit as a row rule over columns of these logical types: (message, fix) pairs."""
    if not expression:
        return
    try:
        statements = sqlglot.parse(expression, dialect="duckdb")
    except sqlglot.errors.SqlglotError as error:
        yield f"`{expression}` cannot be read: {str(error).splitlines()[0]}", "write a condition such as `den_ngay >= tu_ngay`"
        return
    if len(statements) != 1 or statements[0] is None:
        yield f"`{expression}` is not one condition", "write a single condition"
        return
    for node in statements[0].walk():
        if isinstance(node, exp.Column):
            if node.name not in types:
                near = get_close_matches(node.name, types, 1)
                yield f"`{node.name}` is no column", f"did you mean `{near[0]}`?" if near else f"columns are: {', '.join(sorted(types))}"
        elif isinstance(node, exp.Add | exp.Sub) and not _is_number(node, types):
            # Engines do not agree on what else to make of it.
            yield f"`{node.sql(dialect='duckdb')}` calculates with a date", "subtract one date column from another: the days between them"
        elif not isinstance(node, RULE_NODES):
            yield (
                f"`{node.sql(dialect='duckdb')}` is not allowed in a rule",
                "use comparisons, + - * /, AND, OR, NOT, IN, BETWEEN, CASE, abs, round, length, coalesce",
            )


def _is_number(node: exp.Add | exp.Sub, types: dict[str, str]) -> bool:
    """Whether a sum or difference is one of numbers, or the days from one date column to another."""
    kinds = [_moment(side.unnest(), types) for side in (node.this, node.expression)]
    plain = all(isinstance(side, exp.Column) for side in (node.this, node.expression))
    return kinds == [None, None] or (isinstance(node, exp.Sub) and plain and kinds == ["date", "date"])


def _moment(side: exp.Expression, types: dict[str, str]) -> str | None:
    """`date` or `timestamp` where this operand is one; None for a number."""
    if isinstance(side, exp.Column):
        kind = types.get(side.name)
        return kind if kind in ("date", "timestamp") else None
    if isinstance(side, exp.Coalesce | exp.Case | exp.If):
        found = [_moment(column, types) for column in side.find_all(exp.Column)]
        return next((kind for kind in found if kind), None)
    return None
