"""The few HTML pages people see: choosing whom to sign in as, an error, signed out."""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse

from emulators.identity.directory import DirectoryTenant, DirectoryUser
from emulators.identity.oauth import SignInRequest

_STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 38rem; margin: 3rem auto; padding: 0 1rem; color: #1b1b1b;
  background: #fff }
h2 { font-size: 1rem; margin: 1.5rem 0 .5rem }
ul { list-style: none; margin: 0; padding: 0 }
button { font: inherit; width: 100%; text-align: left; padding: .6rem .8rem; margin-bottom: .5rem; cursor: pointer;
  color: inherit; background: #f5f5f5; border: 1px solid #767676; border-radius: .3rem }
button:hover { background: #e8eef7 }
button:focus-visible, a:focus-visible { outline: 3px solid #0b5cad; outline-offset: 2px }
small { display: block; color: #555 }
@media (prefers-color-scheme: dark) {
  body { color: #eee; background: #1b1b1b } button { background: #2b2b2b } button:hover { background: #34404f }
  small { color: #bbb } a { color: #8ab8ff }
}
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def choose_person(request: SignInRequest, tenants: Sequence[DirectoryTenant], csrf: str) -> HTMLResponse:
    """Return the page that lists the people who can sign in, each a button of one form."""
    hinted = request.login_hint
    inhabited = sorted((t for t in tenants if t.users), key=lambda t: not _knows(t, hinted))
    lists = "".join(_tenant(tenant, hinted) for tenant in inhabited)
    cancel = request.back(error="access_denied", error_description="The person cancelled.")
    body = f"""
<h1>Sign in to {escape(request.client_name)}</h1>
<p>This identity provider is an emulator for local use. Nobody here has a password: choose whom to sign in as.</p>
<form method="post">
<input type="hidden" name="csrf" value="{escape(csrf)}">
{lists}
</form>
<p><a href="{escape(cancel)}">Cancel</a></p>"""
    return _page("Sign in", body, form_target=request.redirect_uri)


def say(title: str, text: str, status: int = 200) -> HTMLResponse:
    """Return a page that only says something."""
    return _page(title, f"<h1>{escape(title)}</h1>\n<p>{escape(text)}</p>", status=status)


def _knows(tenant: DirectoryTenant, username: str) -> bool:
    return any(user.username == username for user in tenant.users)


def _tenant(tenant: DirectoryTenant, hinted: str) -> str:
    users = sorted(tenant.users, key=lambda user: user.username != hinted)
    people = "".join(_person(user, focus=user.username == hinted) for user in users)
    heading = f"tenant-{escape(tenant.tid)}"
    return (
        f'<section aria-labelledby="{heading}"><h2 id="{heading}">{escape(tenant.name)}</h2><ul>{people}</ul></section>'
    )


def _person(user: DirectoryUser, *, focus: bool) -> str:
    roles = ", ".join(user.roles) or "no role"
    attributes = f'type="submit" name="username" value="{escape(user.username)}"{" autofocus" if focus else ""}'
    small = f"<small>{escape(user.username)} ({escape(roles)})</small>"
    return f"<li><button {attributes}>{escape(user.name)}{small}</button></li>\n"


def _page(title: str, body: str, *, status: int = 200, form_target: str = "") -> HTMLResponse:
    html = f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(title)} - Mandate identity emulator</title><style>{_STYLE}</style></head>
<body><main>{body}
</main></body>
</html>
"""
    return HTMLResponse(html, status, headers={"Content-Security-Policy": _policy(form_target)})


def _policy(form_target: str) -> str:
    # Browsers apply form-action to the redirect that answers the form as well.
    target = urlsplit(form_target)
    origin = f" {target.scheme}://{target.netloc}" if form_target else ""
    return (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'{origin}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
