"""What telemetry is sent where. Without an endpoint no part of OpenTelemetry is even imported."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

    from telemetry.instruments import Instruments

LOCAL = "local"
_EXPORT_SECONDS = 5
_SHUTDOWN_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Exporting:
    """The OpenTelemetry side, when there is one."""

    traces: "TracerProvider"
    metrics: "MeterProvider"
    instruments: "Instruments"


@dataclass(slots=True)
class Telemetry:
    """The process's one set-up. Strict until `configure` says otherwise."""

    environment: str = LOCAL
    strict: bool = True
    exporting: Exporting | None = None


current = Telemetry()


def configure(
    service: str, version: str, environment: str, otlp_endpoint: str | None = None, *, strict: bool | None = None
) -> None:
    """Set telemetry up for this process; a second call replaces the first.

    Args:
        service: name under which this process reports.
        version: of the code.
        environment: `local`, `dev`, `staging`, `prod`.
        otlp_endpoint: collector's base address, such as `http://127.0.0.1:4318`; None or empty: nothing is sent.
        strict: whether what may not leave is a `Defect` rather than dropped; by default in `local` only.
    """
    current.environment = environment
    current.strict = environment == LOCAL if strict is None else strict
    current.exporting = None
    if otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        address = otlp_endpoint.rstrip("/")
        traces = OTLPSpanExporter(f"{address}/v1/traces", timeout=_EXPORT_SECONDS)
        metrics = OTLPMetricExporter(f"{address}/v1/metrics", timeout=_EXPORT_SECONDS)
        export_to(service, version, BatchSpanProcessor(traces), PeriodicExportingMetricReader(metrics))


def export_to(service: str, version: str, processor: "SpanProcessor", reader: "MetricReader") -> None:
    """Send spans to `processor` and metrics to `reader`, under the environment that is configured."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider

    from telemetry.instruments import Instruments

    resource = _resource(service, version)
    traces = TracerProvider(resource=resource, shutdown_on_exit=False)
    traces.add_span_processor(processor)
    metrics = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
    current.exporting = Exporting(traces, metrics, Instruments(metrics.get_meter("mandate")))


async def shutdown() -> bool:
    """Send what is waiting and stop; return whether it could be done within ten seconds."""
    exporting, current.exporting = current.exporting, None
    if exporting is None:
        return True
    try:
        async with asyncio.timeout(_SHUTDOWN_SECONDS):
            await asyncio.gather(
                asyncio.to_thread(exporting.traces.shutdown), asyncio.to_thread(exporting.metrics.shutdown)
            )
    except TimeoutError:
        return False
    return True


def _resource(service: str, version: str) -> "Resource":
    from opentelemetry.sdk.resources import Resource

    return Resource.create(
        {
            "service.namespace": "mandate",
            "service.name": service,
            "service.version": version,
            "deployment.environment.name": current.environment,
        }
    )
