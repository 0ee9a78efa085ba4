"""What an endpoint's refusal means, and how long it asks us to wait."""

from datetime import UTC, datetime

import pytest
from multidict import CIMultiDict

from core.errors import Defect, MandateError, RateLimited, Timeout, Unavailable
from models.faults import refused, retry_after

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"Retry-After-Ms": "20", "Retry-After": "7"}, 0.02),
        ({"x-ms-retry-after-ms": "300"}, 0.3),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "-4"}, 0.0),
        ({"Retry-After": "Mon, 23 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"Retry-After": "Mon, 23 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after-ms": "soon", "Retry-After": "7"}, 7.0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "tomorrow"}, None),
        ({"Retry-After": ""}, None),
    ],
)
def test_reads_both_headers(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(CIMultiDict(headers), NOW) == seconds


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (429, RateLimited, "model.rate"),
        (408, Timeout, "model.timeout"),
        (409, Unavailable, "model.unavailable"),
        (500, Unavailable, "model.unavailable"),
        (503, Unavailable, "model.unavailable"),
        (302, Defect, "model.rejected"),
        (400, Defect, "model.rejected"),
        (401, Defect, "model.rejected"),
        (404, Defect, "model.rejected"),
        (418, Defect, "model.rejected"),
    ],
)
def test_tells_what_may_be_tried_again_from_what_may_not(status: int, kind: type[MandateError], code: str) -> None:
    error = refused(status, {})
    assert type(error) is kind
    assert error.code == code
