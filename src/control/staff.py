"""Who of the publisher's own people may do what."""

from collections.abc import Mapping

from core import Role
from core.errors import Forbidden
from web import VerifiedToken

STAFF_ROLES: Mapping[str, Role] = {"publisher.admin": Role.ADMIN, "publisher.auditor": Role.AUDITOR}
"""App roles of the publisher's own people: who may act, and who may look."""


def staff_roles(token: VerifiedToken, publisher: str) -> tuple[Role, ...]:
    """Return what one of the publisher's people may; `publisher` is its own Entra tenant.

    That tenant is what counts: anybody's administrator can give anybody a role of that name.

    Raises:
        Forbidden: it is nobody of theirs (`access.not_staff`), or they have no role (`access.no_role`).
    """
    if token.is_app or not publisher or token.tenant_id != publisher:
        raise Forbidden("This is for the publisher's own people.", code="access.not_staff")
    roles = tuple(role for name, role in STAFF_ROLES.items() if name in token.roles)
    if not roles:
        raise Forbidden("You have no role here; ask whoever gives them at the publisher.", code="access.no_role")
    return roles
