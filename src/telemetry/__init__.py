"""Spans, meters and log lines: each with the tenant, none with content, sent only where an endpoint is set."""

from telemetry.attributes import Attributes
from telemetry.meters import (
    meter_approval,
    meter_configuration,
    meter_decision,
    meter_drift,
    meter_model,
    meter_run,
    meter_store,
    meter_tool,
)
from telemetry.records import configure_logging, log, uvicorn_log_config
from telemetry.setup import Destinations, configure, shutdown
from telemetry.tracing import Span, SpanKind, active_context, extract, inject, span

__all__ = [
    "Attributes",
    "Destinations",
    "Span",
    "SpanKind",
    "active_context",
    "configure",
    "configure_logging",
    "extract",
    "inject",
    "log",
    "meter_approval",
    "meter_configuration",
    "meter_decision",
    "meter_drift",
    "meter_model",
    "meter_run",
    "meter_store",
    "meter_tool",
    "shutdown",
    "span",
    "uvicorn_log_config",
]
