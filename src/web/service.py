"""What each of our services starts from: an application with limits, problem documents, probes and correlation."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.types import Lifespan

from core.errors import Unavailable
from web.correlation import Correlation
from web.limits import BodyLimit
from web.problems import Problem, install_problem_handlers, problem_responses

_READY_SECONDS = 2.0
_SCHEMAS = "#/components/schemas/{model}"


class Health(BaseModel):
    """The answer of both probes.

    Attributes:
        notes: codes of what is not as it should be, though the service works; left out if there is nothing.
    """

    status: str = "ok"
    notes: tuple[str, ...] | None = None


def create_service(
    *,
    name: str,
    version: str,
    ready: Callable[[], Awaitable[None]],
    max_body: int = 1_000_000,
    max_body_per_path: Mapping[str, int] | None = None,
    lifespan: Lifespan[FastAPI] | None = None,
) -> FastAPI:
    """Return an application with all that a service needs at its edge.

    Declare return types on the routes: FastAPI then writes JSON straight from pydantic. The composition root may put a
    function into `app.state.notes` that returns what `/readyz` says besides.

    Args:
        name: title of the API.
        version: of the product.
        ready: returns if the service can work, else raises `Unavailable`; has two seconds.
        max_body: bytes of a request body.
        max_body_per_path: other limits, by path prefix.
        lifespan: opens what the service needs and closes it again.
    """
    app = FastAPI(
        title=name,
        version=version,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=problem_responses("4XX", "5XX"),
        generate_unique_id_function=_operation_id,
        # The framework's own spans would lack the tenant: ours come from the telemetry layer.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.notes = _nothing
    app.add_middleware(BodyLimit, max_bytes=max_body, per_path=max_body_per_path)
    install_problem_handlers(app)
    app.add_middleware(Correlation)
    _add_probes(app, ready)
    _describe_problems(app)
    return app


def _nothing() -> tuple[str, ...]:
    return ()


def _add_probes(app: FastAPI, ready: Callable[[], Awaitable[None]]) -> None:
    async def healthz() -> Health:
        """Say that the process is alive."""
        return Health()

    async def readyz() -> Health:
        """Say whether the service can work now."""
        try:
            async with asyncio.timeout(_READY_SECONDS):
                await ready()
        except TimeoutError:
            raise Unavailable("The service is not ready yet.", code="dependency.not_ready", retry_after=1) from None
        return Health(notes=app.state.notes() or None)

    app.add_api_route("/healthz", healthz, tags=["probes"], response_model_exclude_none=True)
    app.add_api_route("/readyz", readyz, tags=["probes"], response_model_exclude_none=True)


def _describe_problems(app: FastAPI) -> None:
    """Put the schema to which `problem_responses` refers into the API's description."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        if "Problem" not in schemas:
            problem = Problem.model_json_schema(ref_template=_SCHEMAS)
            schemas |= {**problem.pop("$defs"), "Problem": problem}
        return document

    app.openapi = openapi


def _operation_id(route: APIRoute) -> str:
    return route.name
