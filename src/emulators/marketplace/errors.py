"""How the marketplace says no."""

from http import HTTPStatus

from core.errors import BadRequest, Conflict, Defect, Forbidden, MandateError, NotFound


def bad(message: str) -> BadRequest:
    return BadRequest(message, code="BadRequest")


def forbidden(message: str) -> Forbidden:
    return Forbidden(message, code="Forbidden")


def missing(message: str) -> NotFound:
    return NotFound(message, code="EntityNotFound")


def overtaken(message: str) -> Conflict:
    return Conflict(message, code="Conflict")


def broken(message: str) -> Defect:
    """Say what the real service answers with 500, though it is the caller's mistake."""
    return Defect(message, code="InternalServerError")


def body_of(error: MandateError) -> dict[str, object]:
    return {"error": {"code": error.code, "message": error.message}, "status": HTTPStatus(error.status).value}
