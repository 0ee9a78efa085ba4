"""Application Insights as where telemetry goes. It lets in the service's identity, and no key.

Only the exporters are used: Microsoft's whole distribution would also instrument libraries, whose spans hold addresses
and statements that never passed the seam.
"""

import os
from pathlib import Path

from azure.identity import DefaultAzureCredential
from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter, AzureMonitorTraceExporter
from opentelemetry.sdk.metrics.export import MetricExporter
from opentelemetry.sdk.trace.export import SpanExporter

OFF = (
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED",
    "APPLICATIONINSIGHTS_OPENTELEMETRY_RESOURCE_METRIC_DISABLED",
)
"""What the exporter would send of its own: reports on itself, to Microsoft and to us, and what resource it is."""


def exporters(
    connection: str, client_id: str, ca_file: Path | None, seconds: float
) -> tuple[SpanExporter, MetricExporter]:
    """Return what sends spans, and what sends metrics.

    Args:
        connection: connection string of Application Insights.
        client_id: of the managed identity that it lets in.
        ca_file: certificate authority to trust in place of the usual ones.
        seconds: longest that one request takes.
    """
    os.environ |= dict.fromkeys(OFF, "true")
    options = {
        "connection_string": connection,
        "credential": DefaultAzureCredential(managed_identity_client_id=client_id or None),
        "disable_offline_storage": True,  # what cannot be sent is dropped: the file system is read-only
        "timeout": seconds,
        "retry_total": 1,
        "connection_verify": str(ca_file) if ca_file else True,
    }
    return AzureMonitorTraceExporter(**options), AzureMonitorMetricExporter(**options)
