"""How to cite a release."""

from datetime import UTC
from zoneinfo import ZoneInfo

from catalog.publish import Catalogue, Entry


def cite(catalogue: Catalogue, entry: Entry, address: str, language: str) -> str:
    """Owner (year). Title, release and date. Warehouse. Address."""
    english = language == "en"
    owner = entry.agency.name_en if english else entry.agency.name
    where = catalogue.register.title["en" if english else "vi"]
    if entry.latest is None:
        return f"{owner}. {entry.title(language)}. {where}. {address}"
    day = entry.latest.finished_at.replace(tzinfo=UTC).astimezone(ZoneInfo(catalogue.register.timezone))
    release = f"release {entry.latest.release}" if english else f"phiên bản {entry.latest.release}"
    mark = (" [synthetic data]" if english else " [dữ liệu giả lập]") if entry.synthetic else ""
    return f"{owner} ({day:%Y}). {entry.title(language)}{mark}, {release}, {day:%d/%m/%Y}. {where}. {address}"
