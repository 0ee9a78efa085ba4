"""What leaves the process as spans, metrics and log lines: always with the tenant, never with what anybody said."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from core import (
    ActionKind,
    Decision,
    Effect,
    Lane,
    Principal,
    PrincipalId,
    PrincipalKind,
    TenantContext,
    TenantId,
)
from core.errors import Defect, NotFound
from core.parts import RunKind, RunState, Usage
from telemetry import (
    Destinations,
    configure,
    extract,
    inject,
    log,
    meter_decision,
    meter_model,
    meter_run,
    meter_tool,
    shutdown,
    span,
    uvicorn_log_config,
)
from telemetry.records import JsonFormatter, PrettyFormatter
from telemetry.setup import export_to

CANARY = "canary words of a customer"


def context(tenant: str = "ten_a") -> TenantContext:
    return TenantContext(
        tenant=TenantId(tenant),
        principal=Principal(id=PrincipalId("prn_a"), kind=PrincipalKind.USER),
        plan="team",
        region="westeurope",
        correlation=f"cor_{tenant}",
    )


@pytest.fixture(autouse=True)
async def put_back() -> AsyncGenerator[None]:
    yield
    await shutdown()
    configure("test", "0", "local")


class Exported:
    """A set-up that keeps in memory what would be sent."""

    def __init__(self, environment: str) -> None:
        configure("orchestration", "1.2.3", environment)
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        export_to("orchestration", "1.2.3", SimpleSpanProcessor(self._spans), self._reader)

    def spans(self) -> dict[str, Any]:
        return {one.name: one for one in self._spans.get_finished_spans()}

    def metrics(self) -> dict[str, list[Any]]:
        data = self._reader.get_metrics_data()
        assert data is not None
        return {
            metric.name: list(metric.data.data_points)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def everything(self) -> str:
        data = self._reader.get_metrics_data()
        return "".join(one.to_json() for one in self._spans.get_finished_spans()) + (data.to_json() if data else "")


def test_nothing_of_opentelemetry_is_imported_without_an_endpoint() -> None:
    program = """
import sys, telemetry
from core import *
telemetry.configure("s", "1", "prod")
who = TenantContext(TenantId("ten_a"), Principal(PrincipalId("p"), PrincipalKind.USER), "", "", "c")
with telemetry.span("chat", who, step=1):
    telemetry.inject({})
telemetry.meter_tool(who, tool="t", effect=Effect.READ, outcome="ok", seconds=1.0)
print([name for name in sys.modules if name.startswith(("opentelemetry", "requests", "google"))])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


async def test_a_turn_is_a_tree_of_spans_each_with_tenant_environment_and_correlation() -> None:
    exported = Exported("prod")

    async def call(number: int) -> None:
        with span(f"execute_tool t{number}", context(), tool=f"t{number}", step=number):
            await asyncio.sleep(0)

    with span("invoke_agent support", context(), operation="invoke_agent", agent="support") as root:
        with span("chat chat", context(), span_kind="client", request_model="chat") as chat:
            chat.set(input_tokens=12, output_tokens=3, finish_reason="stop")
        await asyncio.gather(call(1), call(2))
        root.set(state="completed")
    spans = exported.spans()
    top = spans["invoke_agent support"]
    assert top.parent is None
    for name in ("chat chat", "execute_tool t1", "execute_tool t2"):
        assert spans[name].parent.span_id == top.context.span_id
    for one in spans.values():
        assert one.attributes["mandate.tenant"] == "ten_a"
        assert one.attributes["mandate.environment"] == "prod"
        assert one.attributes["mandate.correlation"] == "cor_ten_a"
        assert one.resource.attributes["deployment.environment.name"] == "prod"
    assert spans["chat chat"].attributes["gen_ai.usage.input_tokens"] == 12
    assert spans["chat chat"].attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert spans["chat chat"].kind.name == "CLIENT"
    assert top.attributes["mandate.state"] == "completed"


@pytest.mark.parametrize("environment", ["local", "prod"])
def test_a_span_without_a_tenant_is_a_defect_even_when_nothing_is_exported(environment: str) -> None:
    configure("s", "1", environment)
    with pytest.raises(Defect):
        span("chat chat", context(tenant=""))


def misfits() -> list[dict[str, Any]]:
    return [
        {"prompt": CANARY},
        {"tool": CANARY},
        {"tool": "someone@example.com"},
        {"tool": "x" * 121},
        {"tool": 5},
        {"step": CANARY},
        {"step": True},
        {"step": 1.5},
        {"tool": ["a"]},
        {"gen_ai.input.messages": CANARY},
    ]


@pytest.mark.parametrize("misfit", misfits(), ids=str)
def test_what_does_not_fit_the_seam_is_a_defect_locally_and_dropped_elsewhere(misfit: dict[str, Any]) -> None:
    with pytest.raises(Defect) as caught, span("chat chat", context(), **misfit):
        pass
    assert CANARY not in caught.value.message
    with pytest.raises(Defect):
        log(logging.ERROR, "A thing happened", **misfit)
    exported = Exported("prod")
    with span("chat chat", context(), call=7, **misfit) as one:
        one.set(**misfit)
    found = exported.spans()["chat chat"].attributes
    assert set(found) == {"mandate.tenant", "mandate.environment", "mandate.correlation", "mandate.call"}


def test_a_spans_name_passes_the_seam_as_well() -> None:
    exported = Exported("prod")
    with span(f"chat {CANARY}", context()):
        pass
    assert list(exported.spans()) == ["unnamed"]


def test_an_exception_is_known_by_its_code_or_class_and_not_by_what_it_says() -> None:
    exported = Exported("prod")
    with pytest.raises(NotFound), span("a", context()):
        raise NotFound(CANARY, code="not_found.run")
    with pytest.raises(ValueError, match=CANARY), span("b", context()):
        raise ValueError(CANARY)
    with span("c", context()) as dealt_with:
        dealt_with.fail(KeyError(CANARY))
    spans = exported.spans()
    assert [spans[name].attributes["error.type"] for name in "abc"] == ["not_found.run", "ValueError", "KeyError"]
    for one in spans.values():
        assert one.status.status_code.name == "ERROR"
        assert one.status.description is None
        assert not one.events
    assert CANARY not in exported.everything()


async def test_spans_survive_a_generator_that_another_task_closes() -> None:
    exported = Exported("prod")

    async def stream() -> AsyncGenerator[int]:
        with span("stream", context("ten_a")):
            yield 1
            yield 2

    running = stream()
    assert await asyncio.create_task(anext(running)) == 1
    with span("other", context("ten_b")):
        await running.aclose()
        with span("inner", context("ten_b")):
            pass
    spans = exported.spans()
    assert spans["inner"].parent.span_id == spans["other"].context.span_id
    assert "error.type" not in spans["stream"].attributes


def test_the_trace_goes_on_in_the_peer_and_tracestate_does_not() -> None:
    exported = Exported("prod")
    headers: dict[str, str] = {"tracestate": f"a={CANARY}"}
    with span("here", context()):
        inject(headers)
    with span("there", context(), span_kind="server", parent=extract(headers)):
        pass
    with span("lost", context(), parent="nonsense"):
        pass
    spans = exported.spans()
    assert spans["there"].context.trace_id == spans["here"].context.trace_id
    assert spans["there"].parent.span_id == spans["here"].context.span_id
    assert not spans["there"].context.trace_state
    assert spans["lost"].parent is None


def use_every_meter(tenant: str) -> None:
    who = context(tenant)
    meter_run(who, kind=RunKind.TURN, state=RunState.COMPLETED, seconds=1.5)
    allowed = Decision(
        lane=Lane.APPROVAL, policies=("publisher/refund",), reason=CANARY, policy_version="v", facts={"x": CANARY}
    )
    meter_decision(who, kind=ActionKind.CALL_TOOL, decision=allowed)
    denied = allowed.model_copy(update={"lane": Lane.NEVER, "policies": ()})
    meter_decision(who, kind=ActionKind.CALL_TOOL, decision=denied)
    usage = Usage(input_tokens=100, output_tokens=20, cost_micros=7)
    meter_model(who, operation="chat", model="chat", outcome="answered", usage=usage, seconds=0.5)
    meter_tool(who, tool="issue_refund", effect=Effect.WRITE, outcome="unknown", seconds=0.2)


def test_every_count_is_per_tenant() -> None:
    exported = Exported("prod")
    use_every_meter("ten_a")
    use_every_meter("ten_b")
    metrics = exported.metrics()
    assert set(metrics) == {
        *("mandate.runs", "mandate.run.duration", "mandate.decisions", "mandate.model.cost"),
        *("mandate.tool.calls", "mandate.tool.duration"),
        *("gen_ai.client.token.usage", "gen_ai.client.operation.duration"),
    }
    for points in metrics.values():
        assert {point.attributes["mandate.tenant"] for point in points} == {"ten_a", "ten_b"}
        assert {point.attributes["mandate.environment"] for point in points} == {"prod"}
    lanes = {(p.attributes["mandate.lane"], p.attributes["mandate.policy"]) for p in metrics["mandate.decisions"]}
    assert lanes == {("approval", "publisher/refund"), ("never", "none")}
    tokens = {(p.attributes["gen_ai.token.type"], p.sum) for p in metrics["gen_ai.client.token.usage"]}
    assert tokens == {("input", 100), ("output", 20)}
    assert CANARY not in exported.everything()


async def test_a_real_collector_receives_spans_and_metrics_and_no_content() -> None:
    received: dict[str, list[bytes]] = {"/v1/traces": [], "/v1/metrics": []}

    async def collect(request: web.Request) -> web.Response:
        received[request.path].append(await request.read())
        return web.Response(content_type="application/x-protobuf")

    app = web.Application()
    app.add_routes([web.post(path, collect) for path in received])
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        configure("orchestration", "1.2.3", "prod", Destinations(f"http://127.0.0.1:{runner.addresses[0][1]}/"))
        with pytest.raises(ValueError, match=CANARY), span("chat chat", context(), tool=CANARY, step=3):
            raise ValueError(CANARY)
        use_every_meter("ten_a")
        assert await shutdown()
    finally:
        await runner.cleanup()
    assert CANARY.encode() not in b"".join(received["/v1/traces"] + received["/v1/metrics"])
    (body,) = received["/v1/traces"]
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    assert {a.key: a.value.string_value for a in resource.resource.attributes}["service.name"] == "orchestration"
    (one,) = resource.scope_spans[0].spans
    attributes = {a.key: a.value for a in one.attributes}
    assert attributes["mandate.tenant"].string_value == "ten_a"
    assert attributes["mandate.step"].int_value == 3
    assert "gen_ai.tool.name" not in attributes
    names = {
        metric.name
        for body in received["/v1/metrics"]
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert {"mandate.runs", "gen_ai.client.token.usage"} <= names


async def test_work_goes_on_and_stops_in_time_when_no_collector_is_there() -> None:
    configure("orchestration", "1.2.3", "prod", Destinations("http://127.0.0.1:9"))
    with span("chat chat", context()):
        use_every_meter("ten_a")
    async with asyncio.timeout(12):
        await shutdown()


class Lines(logging.Handler):
    """Keeps every line, as it would be written."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture(params=[JsonFormatter, PrettyFormatter])
def lines(request: pytest.FixtureRequest) -> Generator[list[str]]:
    handler = Lines(request.param())
    root, ours = logging.getLogger(), logging.getLogger("mandate")
    root.addHandler(handler)
    level, ours.level = ours.level, logging.INFO
    yield handler.lines
    ours.level = level
    root.removeHandler(handler)


def broken() -> None:
    secret = CANARY
    raise ValueError(secret)


def raised(error: type[Exception] = ValueError) -> Exception:
    try:
        broken()
    except error as caught:
        return caught
    raise AssertionError


def test_a_line_says_when_what_where_and_for_whom() -> None:
    handler = Lines(JsonFormatter())
    ours = logging.getLogger("mandate")
    ours.addHandler(handler)
    try:
        with span("chat chat", context()):
            log(
                logging.WARNING,
                "The model did not answer",
                error=NotFound("No such run.", code="not_found.run"),
                step=2,
            )
        log(logging.WARNING, "Elsewhere", tenant="ten_b", error=raised())
    finally:
        ours.removeHandler(handler)
    first, second = (json.loads(line) for line in handler.lines)
    assert first["time"].endswith("Z")
    assert {
        "level": "warning",
        "logger": "mandate",
        "message": "The model did not answer",
        "tenant": "ten_a",
        "correlation": "cor_ten_a",
        "code": "not_found.run",
        "mandate.step": 2,
    }.items() <= first.items()
    assert first["at"].startswith("test_telemetry:")
    assert first["error"]["message"] == "No such run."
    assert second["tenant"] == "ten_b"
    assert second["error"]["type"] == "ValueError"
    assert second["error"]["message"] == ""
    assert any(frame.endswith(" broken") for frame in second["error"]["frames"])


def test_no_line_repeats_what_went_wrong_in_somebody_elses_words(lines: list[str]) -> None:
    configure("s", "1", "prod")
    log(logging.ERROR, "A tool broke", error=raised(), tenant="ten_a", tool=CANARY)
    logging.getLogger("a.library").error("could not read %s", CANARY, exc_info=raised())
    logging.getLogger("asyncio").error(f"Task exception was never retrieved: {CANARY}")  # noqa: G004 - as asyncio does
    assert len(lines) == 3
    assert CANARY not in "".join(lines)
    assert "A tool broke" in lines[0]


def test_access_lines_hold_the_path_but_neither_query_nor_address(
    lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = uvicorn_log_config()
    assert isinstance(config["loggers"], dict)
    assert "uvicorn.access" in config["loggers"]
    for name in ("uvicorn", "uvicorn.access"):  # a server of another test may have cut them off
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
    access = logging.getLogger("uvicorn.access")
    arguments = ("192.0.2.7:1234", "GET", f"/v1/runs?q={CANARY.replace(' ', '+')}", "1.1", 200)
    access.handle(access.makeRecord(access.name, logging.INFO, "", 0, '%s - "%s %s HTTP/%s" %d', arguments, None))
    (line,) = lines
    assert "/v1/runs" in line
    assert "200" in line
    assert "canary" not in line
    assert "192.0.2.7" not in line


def test_logging_goes_to_standard_error_one_object_a_line() -> None:
    program = """
import logging, telemetry, warnings
telemetry.configure_logging(pretty=PRETTY)
telemetry.configure("s", "1", "prod")
telemetry.log(logging.INFO, "Ready", port=8000)
telemetry.log(logging.DEBUG, "Hidden")
logging.getLogger("library").info("hidden")
warnings.warn("old", stacklevel=1)
"""
    for pretty in (False, True):
        source = program.replace("PRETTY", str(pretty))
        done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=60)
        first, second = done.stderr.splitlines()
        assert "Ready" in first
        assert "py.warnings" in second or pretty
        if not pretty:
            assert json.loads(first)["server.port"] == 8000
