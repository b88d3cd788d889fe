"""The index of datasets: tantivy in memory, fed with words that `folding` has already prepared.

A search makes two passes. Strict: every word stands in the dataset's description as typed, with or without accents,
the last word perhaps only begun. Forgiving: words may differ by one letter. The second runs only when the first
found no dataset that is *called* what was typed, and ranks below it word for word. Nothing else is tried:
a search that finds nothing says so.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tantivy import Document, Index, Occur, Query, SchemaBuilder

from catalog.search.folding import both_ways, exact, fold, folded

WEIGHTS = {"title": 10.0, "title_en": 8.0, "keywords": 5.0, "id": 4.0, "domain": 3.0, "agency": 2.0, "columns": 1.0, "text": 0.6}
NAMES = ("title", "title_en", "keywords", "id", "domain", "agency")
"""Fields that say what a dataset is called or whose it is."""
PHRASES = ("title", "title_en", "keywords", "id", "domain")
EXACT_BONUS = 1.6
"""How much more a word counts where it stands with the accents as typed."""
PREFIX_SHARE, TYPO_SHARE = 0.5, 0.25
LONGEST_WORD = 50
WHOLE = 60.0
"""For a query that is the whole title or id."""


@dataclass(frozen=True)
class Searchable:
    """What the index knows of one dataset; ``fields`` has the keys of `WEIGHTS`."""

    id: str
    fields: dict[str, str] = field(default_factory=dict)


class SearchIndex:
    """Immutable once built; safe to search from many threads."""

    def __init__(self, datasets: Iterable[Searchable]) -> None:
        builder = SchemaBuilder()
        builder.add_text_field("key", stored=True, tokenizer_name="raw")
        builder.add_text_field("whole", stored=False, tokenizer_name="raw")
        for name in WEIGHTS:
            for strength in ("exact", "folded"):
                builder.add_text_field(f"{name}_{strength}", stored=False, tokenizer_name="whitespace")
        self._schema = builder.build()
        index = Index(self._schema)
        writer = index.writer(heap_size=20_000_000, num_threads=1)
        for dataset in datasets:
            writer.add_document(self._document(dataset))
        writer.commit()
        writer.wait_merging_threads()
        index.reload()
        self._searcher = index.searcher()

    @staticmethod
    def _document(dataset: Searchable) -> Document:
        document = Document()
        document.add_text("key", dataset.id)
        for name in ("title", "title_en", "id"):
            document.add_text("whole", " ".join(folded(dataset.fields.get(name, ""))))
        for name in WEIGHTS:
            text = dataset.fields.get(name, "")
            document.add_text(f"{name}_exact", " ".join(exact(text)))
            # A gap before the abbreviations keeps phrases from running into them.
            document.add_text(f"{name}_folded", " ".join([*folded(text), "|", *both_ways(text)]))
        return document

    def search(self, text: str) -> list[str]:
        """Ids of the datasets that match, best first. A query without words finds nothing."""
        return list(self.scores(text))

    def scores(self, text: str) -> dict[str, float]:
        """The same with the scores that made the order."""
        words = exact(text)[:12]
        if not words or max(map(len, words)) > LONGEST_WORD:
            return {}
        if strict_names := self._run(self._all_words(words, NAMES, typos=False)):
            return self._run(self._all_words(words, tuple(WEIGHTS), typos=False)) or strict_names
        strict = self._run(self._all_words(words, tuple(WEIGHTS), typos=False))
        forgiving = self._run(self._all_words(words, NAMES, typos=True))
        merged = {key: max(strict.get(key, 0), forgiving.get(key, 0)) for key in strict | forgiving}
        return dict(sorted(merged.items(), key=lambda item: (-item[1], item[0])))

    def _run(self, query: Query) -> dict[str, float]:
        found = self._searcher.search(query, limit=10_000).hits
        hits = [(str(self._searcher.doc(address)["key"][0]), float(score)) for score, address in found]
        return dict(sorted(hits, key=lambda hit: (-hit[1], hit[0])))

    def _all_words(self, words: list[str], names: tuple[str, ...], *, typos: bool) -> Query:
        parts = [(Occur.Must, self._word(word, names, typos=typos, last=place == len(words) - 1)) for place, word in enumerate(words)]
        plain = [fold(word) for word in words]
        parts.append((Occur.Should, Query.const_score_query(Query.term_query(self._schema, "whole", " ".join(plain)), WHOLE)))
        for name in PHRASES:
            for start in range(len(words) - 1):
                pair = Query.phrase_query(self._schema, f"{name}_folded", list(plain[start : start + 2]))
                parts.append((Occur.Should, Query.boost_query(pair, WEIGHTS[name])))
                if words != plain:
                    pair = Query.phrase_query(self._schema, f"{name}_exact", list(words[start : start + 2]))
                    parts.append((Occur.Should, Query.boost_query(pair, WEIGHTS[name] * (EXACT_BONUS - 1))))
        return Query.boolean_query(parts)

    def _word(self, word: str, names: tuple[str, ...], *, typos: bool, last: bool) -> Query:
        plain = fold(word)
        choices = []
        for name in names:
            weight = WEIGHTS[name]
            exact_field, folded_field = f"{name}_exact", f"{name}_folded"
            choices.append(Query.boost_query(Query.term_query(self._schema, exact_field, word), weight * EXACT_BONUS))
            choices.append(Query.boost_query(Query.term_query(self._schema, folded_field, plain), weight))
            if last and len(plain) > 1:
                # No letter wrong, only begun; a regular expression would take its automaton a hundred times as long to build.
                begun = Query.fuzzy_term_query(self._schema, folded_field, plain, distance=0, prefix=True)
                choices.append(Query.const_score_query(begun, weight * PREFIX_SHARE))
            # A digit mistyped is another number; one letter alone is no word to mistype.
            if typos and len(plain) > 1 and plain.isalpha():
                near = Query.fuzzy_term_query(self._schema, folded_field, plain, distance=1)
                choices.append(Query.const_score_query(near, weight * TYPO_SHARE))
        return Query.disjunction_max_query(choices, 0.1)
