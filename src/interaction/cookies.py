"""The console's cookies."""

from starlette.responses import Response

SESSION_COOKIE = "__Host-mandate"
"""Browsers take a name with this prefix only from the host itself, over a connection that they trust."""

SIGN_IN_COOKIE = "__Host-mandate-sign-in-"
"""Followed by the beginning of the state, so that sign-ins in two tabs do not disturb each other."""

PURCHASE_COOKIE = "__Host-mandate-purchase"
"""Holds what the marketplace sent along, while the person signs in."""

LANDING_COOKIE = "__Host-mandate-landing"

STAFF_COOKIE = "__Host-mandate-publisher"
"""The session of one of the publisher's people: never looked at on a customer's page, nor a customer's on theirs."""

THEME_COOKIE = "mandate-theme"
ZONE_COOKIE = "mandate-zone"


def set_cookie(response: Response, name: str, value: str, *, seconds: int | None = None) -> None:
    """Set a cookie that no script can read and that other sites' requests do not carry.

    `seconds` is how long the browser keeps it; without it, until it is closed.
    """
    response.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax")


def drop_cookie(response: Response, name: str) -> None:
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")
