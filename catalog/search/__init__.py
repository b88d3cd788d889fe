"""Finding datasets by what people type: with or without accents, abbreviated, in English, with a typo."""

from catalog.search.index import Searchable, SearchIndex
from catalog.search.nearest import nearest_ids

__all__ = ["SearchIndex", "Searchable", "nearest_ids"]
