"""The words of OAuth 2.0: its errors, its parameters, and the request that begins a sign-in."""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request

_MAX_PARAMETERS = 30
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class OAuthError(Exception):
    """An error as OAuth says it (RFC 6749, 4.1.2.1 and 5.2).

    Attributes:
        error: one of the codes that the standard lists, or Entra's own.
        status: of the response, where it is not a redirect.
    """

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status


@dataclass(frozen=True, slots=True)
class SignInRequest:
    """What a client asks of the authorize endpoint, once client and redirect URI are known to belong together."""

    client_id: str
    client_name: str
    redirect_uri: str
    state: str
    nonce: str
    scope: str
    challenge: str
    prompt: str
    login_hint: str

    def back(self, **parameters: str) -> str:
        """Return the redirect URI with `parameters` and the state added."""
        if self.state:
            parameters["state"] = self.state
        joint = "&" if "?" in self.redirect_uri else "?"
        return f"{self.redirect_uri}{joint}{urlencode(parameters)}"


def single_values(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return parameters by name.

    Raises:
        OAuthError: one is given twice.
    """
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            raise OAuthError("invalid_request", f"The parameter {name[:40]} is given twice.")
        values[name] = value
    return values


async def form_values(request: Request) -> dict[str, str]:
    """Return the fields of a posted form.

    Raises:
        OAuthError: the body is not a form.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "Send the parameters as application/x-www-form-urlencoded.")
    try:
        body = (await request.body()).decode("utf-8")
        return single_values(parse_qsl(body, keep_blank_values=True, max_num_fields=_MAX_PARAMETERS))
    except ValueError:
        raise OAuthError("invalid_request", "The form cannot be read.") from None


def matches_challenge(verifier: str, challenge: str) -> bool:
    """Return whether `verifier` is the one behind a PKCE challenge of method S256 (RFC 7636, 4.6)."""
    return bool(_VERIFIER.fullmatch(verifier)) and hmac.compare_digest(s256(verifier), challenge)


def s256(verifier: str) -> str:
    """Return the PKCE challenge for `verifier`."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
