"""Ids that look like a mistyped one."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest_ids(typed: str, ids: Iterable[str], limit: int = 3) -> list[str]:
    """The closest ids, `mot_cua.ho_so` meaning `mot-cua/ho-so`; also when only the part after the slash was typed."""
    known = list(ids)
    wanted = typed.strip().lower().replace(".", "/").replace("_", "-")
    same_name = [id for id in known if id.split("/")[-1] == wanted]
    return (same_name + [id for id in get_close_matches(wanted, known, limit) if id not in same_name])[:limit]
