"""Where somebody was before they had to sign in: a path of our own, whatever was sent."""

import re
from urllib.parse import urlencode, urlsplit

HOME = "/"

SIGN_IN = "/sign-in"

LANDING = "/marketplace/landing"
"""Whoever signs in to come back here needs no place in a tenant: they have bought, and have none yet."""

STAFF = "/publisher"
"""Where the publisher's own people are; whoever signs in to come back here is one of them."""

_OWN_PATH = re.compile(r"/(?![/\\])[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,1999}")
_NOT_BACK_TO = ("/sign-in", "/signed-", "/sign-out", "/identity", "/v1")


def own_path(given: str) -> str:
    r"""Return `given` if it is a path here, with its query, else the start page.

    Browsers take `//host`, `/\host` and control characters for more than a path; so does a path with dots in it turn
    into another one.
    """
    if not _OWN_PATH.fullmatch(given) or "/." in given or given.startswith(_NOT_BACK_TO):
        return HOME
    return given


def sign_in_address(public_url: str, path: str) -> str:
    """Return the address that signs somebody in and brings them back to `path`."""
    back = own_path(path)
    query = f"?{urlencode({'return_to': back})}" if back != HOME else ""
    return f"{public_url}{SIGN_IN}{query}"


def path_of(referer: str, public_url: str) -> str:
    """Return the path of the page that a form stood on, where the browser says so."""
    if not referer.startswith(f"{public_url}/"):
        return HOME
    parts = urlsplit(referer)
    return own_path(f"{parts.path}?{parts.query}" if parts.query else parts.path)


def is_staffs(path: str) -> bool:
    """Return whether a path leads to the publisher's own pages."""
    return path.partition("?")[0] == STAFF or path.startswith(f"{STAFF}/")
