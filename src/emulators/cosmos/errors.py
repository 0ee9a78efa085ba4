"""What the emulator refuses, in the form of the service: a status, a substatus, and a body of code and message."""

from http import HTTPStatus

from core.errors import MandateError

_CODES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    408: "RequestTimeout",
    409: "Conflict",
    410: "Gone",
    412: "PreconditionFailed",
    413: "RequestEntityTooLarge",
    424: "FailedDependency",
    429: "TooManyRequests",
    449: "RetryWith",
    500: "InternalServerError",
    501: "NotImplemented",
    503: "ServiceUnavailable",
}
"""https://learn.microsoft.com/rest/api/cosmos-db/http-status-codes-for-cosmosdb"""


class CosmosError(MandateError):
    """A refusal.

    Attributes:
        http_status: what the client gets.
        substatus: the service's finer reason, 0 for none.
        retry_after_ms: milliseconds to wait, for a 429 that says so.
    """

    def __init__(self, status: int, message: str, *, substatus: int = 0, retry_after_ms: int | None = None) -> None:
        super().__init__(message, code=_CODES.get(status, str(status)))
        self.http_status = status
        self.substatus = substatus
        self.retry_after_ms = retry_after_ms


def bad(message: str, substatus: int = 0) -> CosmosError:
    """Return the refusal of a request that the service would not accept, or that no SDK would send."""
    return CosmosError(HTTPStatus.BAD_REQUEST, message, substatus=substatus)


def unknown(what: str) -> CosmosError:
    """Return the refusal of what the service may well do and this emulator does not: it never guesses."""
    return CosmosError(HTTPStatus.NOT_IMPLEMENTED, f"This emulator does not know {what}. It refuses rather than guess.")


def not_found(substatus: int = 0) -> CosmosError:
    return CosmosError(HTTPStatus.NOT_FOUND, "Resource Not Found.", substatus=substatus)


def changed_meanwhile() -> CosmosError:
    message = "One of the specified pre-condition is not met."
    return CosmosError(HTTPStatus.PRECONDITION_FAILED, message)
