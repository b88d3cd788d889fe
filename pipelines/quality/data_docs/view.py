"""Great Expectations' Jinja views with the templates of this folder before its own, which fetch assets from six other hosts.

Loaded by Great Expectations by name; importing this module imports it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from great_expectations.render.view.view import DefaultJinjaIndexPageView, DefaultJinjaPageView, DefaultJinjaView
from jinja2 import ChoiceLoader, FileSystemLoader

TEMPLATES = Path(__file__).parent / "templates"


class _Offline(DefaultJinjaView):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        assert self.env.loader is not None
        self.env.loader = ChoiceLoader([FileSystemLoader(TEMPLATES), self.env.loader])

    def render_styling(self, styling: Mapping[Any, Any]) -> str:
        """Classes only: the catalogue's content security policy allows no style in a page."""
        attributes = {k: v for k, v in (styling.get("attributes") or {}).items() if k in ("href", "id", "title")}
        return str(super().render_styling({"classes": styling.get("classes"), "attributes": attributes}))


class PageView(_Offline, DefaultJinjaPageView):
    """A suite or a result."""


class IndexView(_Offline, DefaultJinjaIndexPageView):
    """The list of all suites and of the newest results."""
