"""What every template may use without its view passing it on."""

from typing import Any

from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, Any]:
    catalogue = request.catalogue
    language = request.language
    other = "en" if language == "vi" else "vi"
    query = request.GET.copy()
    query["lang"] = other
    return {
        "catalogue": catalogue,
        "register": catalogue.register,
        "language": language,
        "site_title": catalogue.register.title[language],
        "other_language": other,
        "other_language_url": f"?{query.urlencode()}",
    }
