"""Nobody can ask faster than allowed, nor get a fresh allowance by a trick."""

from dataclasses import dataclass

import pytest

from web import RateLimiter


@dataclass
class Seconds:
    at: float = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


def test_a_burst_then_the_rate(seconds: Seconds) -> None:
    limiter = RateLimiter(per_second=2, burst=3, monotonic=seconds)
    assert [limiter.take("a") for _ in range(3)] == [0, 0, 0]
    assert limiter.take("a") == pytest.approx(0.5)
    seconds.at += 0.5
    assert limiter.take("a") == 0
    assert limiter.take("a") == pytest.approx(0.5)


def test_waiting_as_told_is_enough_and_a_bucket_never_overflows(seconds: Seconds) -> None:
    limiter = RateLimiter(per_second=0.1, burst=1, monotonic=seconds)
    assert limiter.take("a") == 0
    seconds.at += limiter.take("a")
    assert limiter.take("a") == 0
    seconds.at += 1000
    assert [limiter.take("a") == 0 for _ in range(2)] == [True, False]


def test_callers_do_not_share(seconds: Seconds) -> None:
    limiter = RateLimiter(per_second=1, burst=1, monotonic=seconds)
    assert (limiter.take("a"), limiter.take("b")) == (0, 0)


def test_many_keys_push_nobody_out_who_still_owes(seconds: Seconds) -> None:
    limiter = RateLimiter(per_second=1, burst=2, max_keys=2, monotonic=seconds)
    assert (limiter.take("a"), limiter.take("a"), limiter.take("b")) == (0, 0, 0)
    assert limiter.take("c") == pytest.approx(2)
    assert limiter.take("a") > 0
    seconds.at += 2
    assert limiter.take("c") == 0
