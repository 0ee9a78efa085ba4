"""The one error tree. Each leaf has a stable code and an HTTP status; the message tells the person what to do next.

    MandateError
    ├── BadRequest            400  request.*      the request cannot be understood
    ├── Unauthenticated       401  identity.*     who is asking is not proved
    ├── BudgetSpent           402  budget.*       the tenant's money or tokens are used up
    ├── Forbidden             403  access.*       proved, but not allowed
    ├── NotFound              404  not_found      not there, or not yours: the two look the same on purpose
    ├── Conflict              409  conflict.*     somebody was faster, or the state does not permit it
    ├── PreconditionFailed    412  precondition   the ETag given is not the current one
    ├── TooLarge              413  request.size   larger than the limit named
    ├── Unprocessable         422  request.*      understood, but not valid
    ├── RateLimited           429  rate           too fast: carries the seconds to wait
    ├── Defect                500  defect.*       our fault: an invariant does not hold
    ├── Unavailable           503  dependency.*   something we need does not answer
    └── Timeout               504  timeout.*      a bound was reached

No message holds content, a secret or a stack: it is shown to people and written to logs as it is.
"""

from http import HTTPStatus
from typing import ClassVar


class MandateError(Exception):
    """Base of every error that we raise on purpose.

    Attributes:
        code: stable, dotted, lower-case; documented in `docs/errors.md`.
        message: one or two plain sentences for a person.
        retry_after: seconds to wait before trying again, where waiting helps.
    """

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    default_code: ClassVar[str] = "defect"

    def __init__(self, message: str, *, code: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.retry_after = retry_after


class BadRequest(MandateError):
    status = HTTPStatus.BAD_REQUEST
    default_code = "request.malformed"


class Unauthenticated(MandateError):
    status = HTTPStatus.UNAUTHORIZED
    default_code = "identity.unproved"


class BudgetSpent(MandateError):
    status = HTTPStatus.PAYMENT_REQUIRED
    default_code = "budget.spent"


class Forbidden(MandateError):
    status = HTTPStatus.FORBIDDEN
    default_code = "access.forbidden"


class NotFound(MandateError):
    status = HTTPStatus.NOT_FOUND
    default_code = "not_found"


class Conflict(MandateError):
    status = HTTPStatus.CONFLICT
    default_code = "conflict"


class PreconditionFailed(MandateError):
    status = HTTPStatus.PRECONDITION_FAILED
    default_code = "precondition"


class TooLarge(MandateError):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_code = "request.size"


class Unprocessable(MandateError):
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    default_code = "request.invalid"


class RateLimited(MandateError):
    status = HTTPStatus.TOO_MANY_REQUESTS
    default_code = "rate"


class Defect(MandateError):
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    default_code = "defect"


class Unavailable(MandateError):
    status = HTTPStatus.SERVICE_UNAVAILABLE
    default_code = "dependency.unavailable"


class Timeout(MandateError):
    status = HTTPStatus.GATEWAY_TIMEOUT
    default_code = "timeout"
