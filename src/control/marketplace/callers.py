"""Who calls the webhook: the marketplace, proved by a token of its own in the publisher's tenant."""

from core.errors import Forbidden
from web import TokenValidator


class WebhookCallers:
    """Lets in the marketplace alone.

    Args:
        validator: for tokens whose audience is the application that the offer names, of both versions.
        tenant: the publisher's Entra tenant.
        marketplace: the marketplace's application.
    """

    def __init__(self, validator: TokenValidator, tenant: str, marketplace: str) -> None:
        self._validator = validator
        self._caller = (tenant, marketplace)

    async def check(self, token: str) -> None:
        """Return if the marketplace calls.

        Raises:
            Unauthenticated: the token proves nothing: see `TokenValidator.verify`.
            Forbidden: it is somebody else's (`access.not_the_marketplace`).
        """
        verified = await self._validator.verify(token)
        if (verified.tenant_id, verified.app_id) != self._caller:
            raise Forbidden("Only the marketplace calls this.", code="access.not_the_marketplace")
