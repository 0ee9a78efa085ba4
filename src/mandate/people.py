"""Whom the command line can sign in as: the people of the demo companies."""

import aiohttp

from core.errors import NotFound
from mandate.client import Client
from mandate.local.world import Company, load_companies
from mandate.settings import ROOT


def company_of(username: str) -> Company:
    """Return the demo company that somebody belongs to.

    Raises:
        NotFound: nobody has this name; the message says who there is.
    """
    companies = load_companies(ROOT)
    for company in companies:
        if any(user.username == username for user in company.about.users):
            return company
    known = ", ".join(user.username for company in companies for user in company.about.users)
    raise NotFound(f"There is nobody called {username}. There are: {known}.", code="not_found.user")


async def sign_in(session: aiohttp.ClientSession, url: str, username: str) -> Client:
    return await Client.signed_in(session, url, company_of(username).about.entra_tenant_id, username)
