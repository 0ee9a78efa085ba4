"""What went wrong at an endpoint, said in the one error tree. Messages never repeat what the endpoint wrote."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from core import SystemClock
from core.errors import Defect, MandateError, RateLimited, Timeout, Unavailable

_ADVICE: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "check that the service's identity may call it",
    HTTPStatus.FORBIDDEN: "check that the service's identity may call it",
    HTTPStatus.NOT_FOUND: "check the endpoint and the model's name in the catalogue, and that it is deployed",
}


def refused(status: int, headers: Mapping[str, str]) -> MandateError:
    """Return the error for an answer that is not 200. `headers` must ignore case."""
    wait = retry_after(headers, SystemClock().now())
    match status:
        case HTTPStatus.TOO_MANY_REQUESTS:
            message = "The model is asked too often just now: please try again in a moment."
            return RateLimited(message, code="model.rate", retry_after=wait)
        case HTTPStatus.REQUEST_TIMEOUT:
            return timed_out()
        case _ if status == HTTPStatus.CONFLICT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return unavailable(wait)
        case _:
            advice = _ADVICE.get(status, "check the size of the request, and that the model takes tools")
            message = f"The model endpoint refused the request (HTTP {status}): {advice}."
            return Defect(message, code="model.rejected")


def unavailable(retry_after: float | None = None) -> Unavailable:
    """Return the error for an endpoint that does not answer."""
    message = "The model does not answer just now: please try again in a minute."
    return Unavailable(message, code="model.unavailable", retry_after=retry_after)


def malformed() -> Unavailable:
    """Return the error for an answer that is not in the format agreed, or breaks off."""
    return Unavailable("The model's answer could not be read: please try again.", code="model.unavailable")


def timed_out() -> Timeout:
    return Timeout("The model took too long: please try again, or ask for less at once.", code="model.timeout")


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that the endpoint asks us to wait, None if it does not say or we cannot read it.

    `retry-after-ms` is Azure OpenAI's, finer than the standard's `Retry-After` of seconds or a date (RFC 9110, 10.2.3).
    """
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        milliseconds = _number(headers.get(name))
        if milliseconds is not None:
            return max(milliseconds / 1000, 0.0)
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is None and value is not None:
        seconds = _until(value, now)
    return None if seconds is None else max(seconds, 0.0)


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _until(value: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
