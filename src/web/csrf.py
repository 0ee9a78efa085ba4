"""Cross-site request forgery: a browser sends its cookies whoever made it ask, so the cookie alone proves no will."""

import hmac

from starlette.requests import Request

from core.errors import BadRequest, Forbidden
from web.forms import FORM_WITH_FILES, form_with_files

CSRF_HEADER = "Mandate-CSRF"
CSRF_FIELD = "csrf"

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 100


async def check_csrf(request: Request, expected: str, origin: str) -> None:
    """Check that a page of our own made the browser send an unsafe request.

    Args:
        request: any; a safe method passes.
        expected: the session's token. It comes in the header, or in a form's hidden field.
        origin: ours, as browsers name it.

    Raises:
        Forbidden: it came from elsewhere, or without the right token (`identity.csrf`).
    """
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("sec-fetch-site", "same-origin")
    given = request.headers.get(CSRF_HEADER) or await _from_form(request)
    own = site == "same-origin" and request.headers.get("origin", origin) == origin
    if not own or not hmac.compare_digest(given.encode(), expected.encode()):
        raise Forbidden(
            "This did not come from a page of ours that is signed in. Reload the page and try again.",
            code="identity.csrf",
        )


async def _from_form(request: Request) -> str:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == _FORM:
        value = (await request.form(max_files=0, max_fields=_MOST_FIELDS)).get(CSRF_FIELD, "")
    elif media_type == FORM_WITH_FILES:
        value = await _beside_files(request)
    else:
        return ""
    return value if isinstance(value, str) else ""


async def _beside_files(request: Request) -> object:
    await request.body()  # is kept by that, so that whoever takes the files can read them
    try:
        async with form_with_files(request, files=_MOST_FIELDS, fields=_MOST_FIELDS) as form:
            return form.get(CSRF_FIELD, "")
    except BadRequest:
        return ""
