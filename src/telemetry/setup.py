"""What telemetry is sent where. Without a destination no part of OpenTelemetry is even imported."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricExporter, MetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

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


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where telemetry is sent; nowhere by default.

    Attributes:
        otlp: a collector's base address, such as `http://127.0.0.1:4318`.
        insights: connection string of Application Insights. It says where; who may send, an identity proves.
        client_id: of that managed identity.
        ca_file: certificate authority to trust in place of the usual ones, by Application Insights' exporter.
    """

    otlp: str = ""
    insights: str = ""
    client_id: str = ""
    ca_file: Path | None = None


NOWHERE = Destinations()


def configure(
    service: str, version: str, environment: str, to: Destinations = NOWHERE, *, strict: bool | None = None
) -> None:
    """Set telemetry up for this process; a second call replaces the first.

    Args:
        service: name under which this process reports.
        version: of the code.
        environment: `local`, `dev`, `staging`, `prod`.
        to: where spans and metrics are sent.
        strict: whether what may not leave is a `Defect` rather than dropped; by default in `local` only.
    """
    current.environment = environment
    current.strict = environment == LOCAL if strict is None else strict
    current.exporting = None
    if exporters := [*_collector(to), *_insights(to)]:
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        processors = [BatchSpanProcessor(spans) for spans, _ in exporters]
        _export(service, version, processors, [PeriodicExportingMetricReader(metrics) for _, metrics in exporters])


def export_to(service: str, version: str, processor: "SpanProcessor", reader: "MetricReader") -> None:
    """Send spans to `processor` and metrics to `reader`, under the environment that is configured."""
    _export(service, version, [processor], [reader])


def _export(
    service: str, version: str, processors: "Sequence[SpanProcessor]", readers: "Sequence[MetricReader]"
) -> None:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider

    from telemetry.instruments import Instruments

    resource = _resource(service, version)
    traces = TracerProvider(resource=resource, shutdown_on_exit=False)
    for processor in processors:
        traces.add_span_processor(processor)
    metrics = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
    current.exporting = Exporting(traces, metrics, Instruments(metrics.get_meter("mandate")))


def _collector(to: Destinations) -> "list[tuple[SpanExporter, MetricExporter]]":
    if not to.otlp:
        return []
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    address = to.otlp.rstrip("/")
    return [
        (
            OTLPSpanExporter(f"{address}/v1/traces", timeout=_EXPORT_SECONDS),
            OTLPMetricExporter(f"{address}/v1/metrics", timeout=_EXPORT_SECONDS),
        )
    ]


def _insights(to: Destinations) -> "list[tuple[SpanExporter, MetricExporter]]":
    if not to.insights:
        return []
    from telemetry.azure_monitor import exporters

    return [exporters(to.insights, to.client_id, to.ca_file, _EXPORT_SECONDS)]


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
