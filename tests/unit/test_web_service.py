"""Every answer of every service: correlated, bounded, and where it says no a problem document without any content."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import ASGIApp

from core.errors import Conflict, RateLimited, Unauthenticated, Unavailable
from web import create_service, problem_responses

SECRET = "hunter2"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        return json.loads(self.body)


async def ask(
    app: ASGIApp,
    method: str,
    target: str,
    *,
    chunks: Sequence[bytes] = (),
    headers: dict[str, str] | None = None,
    declare: int | None = None,
    asgi: str = "2.3",
) -> Answer:
    """Speak ASGI to `app` as uvicorn does; a body is chunked unless its length is declared."""
    path, _, query = target.partition("?")
    given = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    if declare is not None:
        given.append((b"content-length", str(declare).encode()))
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": asgi}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": given, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip
    pending = [*chunks]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if sent and not sent[-1].get("more_body", True):
            return {"type": "http.disconnect"}
        if pending or not any(m["type"] == "http.request" for m in received):
            body = pending.pop(0) if pending else b""
            received.append({"type": "http.request", "body": body, "more_body": bool(pending)})
            return received[-1]
        await asyncio.sleep(3600)
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    received: list[dict[str, Any]] = []
    await app(scope, receive, send)
    start, *bodies = sent
    answered = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], answered, b"".join(m.get("body", b"") for m in bodies))


class Cat(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    amount: int = Field(gt=0)
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None


def refuse_callers() -> None:
    raise Unauthenticated("Sign in first.", code="identity.missing")


def add_broken_routes(app: FastAPI) -> None:
    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError(SECRET)

    @app.get("/broken-stream")
    async def broken_stream() -> StreamingResponse:
        async def parts() -> AsyncGenerator[bytes, None]:
            yield b"one"
            raise RuntimeError(SECRET)

        return StreamingResponse(parts())


@pytest.fixture
def app() -> FastAPI:
    async def ready() -> None:
        pass

    app = create_service(name="test", version="1.2.3", ready=ready, max_body=100, max_body_per_path={"/large": 1000})

    @app.post("/orders", responses=problem_responses(409))
    async def order(order: Order) -> Order:
        return order

    @app.post("/large")
    async def large(request: Request) -> int:
        return len(await request.body())

    @app.get("/conflict")
    async def conflict() -> None:
        raise Conflict("Somebody was faster.", code="conflict.sequence")

    @app.get("/slow")
    async def slow() -> None:
        raise RateLimited("Too fast.", retry_after=1.2)

    @app.post("/private", dependencies=[Depends(refuse_callers)])
    async def private(order: Order) -> None:
        del order

    @app.get("/page")
    async def page(n: Annotated[int, Query(ge=0)]) -> int:
        return n

    @app.post("/echo-stream")
    async def echo_stream(request: Request) -> StreamingResponse:
        return StreamingResponse(request.stream())

    add_broken_routes(app)
    return app


JSON = {"Content-Type": "application/json"}


async def test_an_error_is_a_problem_document(app: FastAPI) -> None:
    answer = await ask(app, "GET", "/conflict", headers={"X-Correlation-Id": "cor-7"})
    assert answer.problem == {
        "type": "urn:mandate:error:conflict.sequence",
        "title": "Conflict",
        "status": 409,
        "detail": "Somebody was faster.",
        "code": "conflict.sequence",
        "correlation": "cor-7",
    }
    assert answer.status == 409


async def test_headers_say_what_to_do(app: FastAPI) -> None:
    assert (await ask(app, "GET", "/slow")).headers["retry-after"] == "2"
    unknown = await ask(app, "POST", "/private", chunks=[b'{"amount": 1}'], headers=JSON)
    assert (unknown.status, unknown.headers["www-authenticate"]) == (401, "Bearer")


async def test_unknown_paths_and_methods(app: FastAPI) -> None:
    assert (await ask(app, "GET", "/nothing")).problem["code"] == "not_found"
    wrong = await ask(app, "DELETE", "/conflict")
    assert (wrong.status, wrong.problem["code"], wrong.headers["allow"]) == (405, "request.method", "GET")


@pytest.mark.parametrize(
    ("body", "location"),
    [
        ({"amount": SECRET}, "body.amount"),
        ({"amount": 1, SECRET: 1}, "body"),
        ({"amount": 1, "pet": {"kind": SECRET}}, "body.pet"),
        ({"amount": 1, "pet": {"kind": "cat", "lives": 9, SECRET: 1}}, "body.pet.cat"),
        ([SECRET], "body"),
    ],
)
async def test_what_is_invalid_is_named_but_never_repeated(app: FastAPI, body: Any, location: str) -> None:
    answer = await ask(app, "POST", "/orders", chunks=[json.dumps(body).encode()], headers=JSON)
    assert answer.status == 422
    assert [e["location"] for e in answer.problem["errors"]] == [location]
    assert all(e["message"] for e in answer.problem["errors"])
    assert SECRET.encode() not in answer.body


async def test_broken_json_and_parameters_are_clear_errors(app: FastAPI) -> None:
    assert (await ask(app, "POST", "/orders", chunks=[b"{" + SECRET.encode()], headers=JSON)).problem["status"] == 422
    assert (await ask(app, "GET", "/page?n=-1")).problem["errors"][0]["location"] == "query.n"


async def test_a_defect_tells_nothing_and_logs_where_but_not_what(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = await ask(app, "GET", "/broken")
    assert (answer.status, answer.problem["code"]) == (500, "defect")
    assert answer.problem["correlation"] == answer.headers["x-correlation-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    written = "\n".join(record.getMessage() for record in caplog.records)
    assert "in broken" in written
    assert answer.problem["correlation"] in written
    assert SECRET.encode() not in answer.body
    assert SECRET not in caplog.text.replace("raise RuntimeError(SECRET)", "")


async def test_a_defect_in_mid_stream_breaks_the_connection_off_without_a_word(app: FastAPI) -> None:
    with pytest.raises(Exception, match="Something is wrong on our side") as caught:
        await ask(app, "GET", "/broken-stream")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_a_good_correlation_id_is_kept_and_a_bad_one_replaced(app: FastAPI) -> None:
    kept = await ask(app, "GET", "/healthz", headers={"X-Correlation-Id": "abc_DEF-123"})
    assert kept.headers["x-correlation-id"] == "abc_DEF-123"
    for bad in ("", "a b", "a\tb", "é", "x" * 65, "-x", "a,b"):
        minted = (await ask(app, "GET", "/healthz", headers={"X-Correlation-Id": bad})).headers["x-correlation-id"]
        assert minted.startswith("cor_")


async def test_browsers_are_told_to_do_nothing_with_an_answer(app: FastAPI) -> None:
    headers = (await ask(app, "GET", "/healthz")).headers
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


async def test_a_declared_body_above_the_limit_is_refused(app: FastAPI) -> None:
    answer = await ask(app, "POST", "/orders", chunks=[b"x" * 101], declare=101, headers=JSON)
    assert (answer.status, answer.problem["code"]) == (413, "request.size")
    assert answer.headers["x-correlation-id"]


async def test_a_chunked_body_above_the_limit_is_refused(app: FastAPI) -> None:
    answer = await ask(app, "POST", "/orders", chunks=[b" " * 60, b" " * 60], headers=JSON)
    assert (answer.status, answer.problem["code"]) == (413, "request.size")
    lying = await ask(app, "POST", "/large", chunks=[b"x" * 600] * 2, declare=10)
    assert lying.status == 413


async def test_limits_differ_by_path(app: FastAPI) -> None:
    assert (await ask(app, "POST", "/large", chunks=[b"x" * 500] * 2)).body == b"1000"
    assert (await ask(app, "POST", "/large", chunks=[b"x" * 500, b"x" * 501])).status == 413


async def test_a_body_within_the_limit_may_be_streamed_back(app: FastAPI) -> None:
    # Only from ASGI 2.4 on does the framework leave the body to the one who streams it back.
    answer = await ask(app, "POST", "/echo-stream", chunks=[b"a" * 50, b"b" * 50], asgi="2.4")
    assert (answer.status, answer.body) == (200, b"a" * 50 + b"b" * 50)


async def test_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.service._READY_SECONDS", 0.05)
    troubles: list[str] = []

    async def ready() -> None:
        if "slow" in troubles:
            await asyncio.sleep(5)
        if "store" in troubles:
            raise Unavailable("The store does not answer.", code="dependency.store")

    app = create_service(name="test", version="1", ready=ready)
    assert (await ask(app, "GET", "/readyz")).body == (await ask(app, "GET", "/healthz")).body == b'{"status":"ok"}'
    app.state.notes = lambda: ("configuration.rejected",)
    noted = await ask(app, "GET", "/readyz")
    assert (noted.status, noted.body) == (200, b'{"status":"ok","notes":["configuration.rejected"]}')
    troubles.append("store")
    answer = await ask(app, "GET", "/readyz")
    assert (answer.status, answer.problem["code"]) == (503, "dependency.store")
    assert (await ask(app, "GET", "/healthz")).status == 200
    troubles.append("slow")
    answer = await ask(app, "GET", "/readyz")
    assert (answer.status, answer.problem["code"]) == (503, "dependency.not_ready")


async def test_the_api_describes_its_problems(app: FastAPI) -> None:
    document = json.loads((await ask(app, "GET", "/openapi.json")).body)
    assert document["openapi"].startswith("3.1")
    assert document["info"] == {"title": "test", "version": "1.2.3"}
    responses = document["paths"]["/orders"]["post"]["responses"]
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    for status in ("4XX", "5XX", "409"):
        assert responses[status]["content"] == {"application/problem+json": schema}
    assert "422" not in responses
    schemas = document["components"]["schemas"]
    assert {"Problem", "InvalidField"} <= schemas.keys()
    assert "HTTPValidationError" not in schemas
    for path in ("/docs", "/redoc"):
        assert (await ask(app, "GET", path)).status == 404
