"""What our telemetry sends, as an exporter sees it: each metric, with the attributes that it carries."""

import re
from types import SimpleNamespace

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import telemetry.setup
from core import ActionKind, Decision, Effect, Lane, Principal, PrincipalId, PrincipalKind, TenantContext, TenantId
from core.parts import RunKind, RunState, Usage
from telemetry import meter_approval, meter_decision, meter_model, meter_run, meter_store, meter_tool
from telemetry.instruments import Instruments

ME = TenantContext(
    tenant=TenantId("ten_a"),
    principal=Principal(id=PrincipalId("prn_a"), kind=PrincipalKind.USER),
    plan="team",
    region="westeurope",
    correlation="cor_a",
)


def misses(query: str, sent: dict[str, set[str]]) -> set[str]:
    """Return what a query asks for and nothing sends: its metric, or an attribute that the metric does not carry."""
    (metric,) = re.findall(r'where Name == "([^"]+)"', query)
    if metric not in sent:
        return {metric}
    return set(re.findall(r'Properties\["([^"]+)"\]', query)) - sent[metric]


def carried() -> dict[str, set[str]]:
    reader = InMemoryMetricReader()
    exporting = SimpleNamespace(instruments=Instruments(MeterProvider([reader]).get_meter("mandate")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(telemetry.setup.current, "exporting", exporting)
        _meter_everything()
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: {name for point in metric.data.data_points for name in point.attributes or ()}
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def _meter_everything() -> None:
    usage = Usage(input_tokens=1, output_tokens=1, cost_micros=1)
    decision = Decision(lane=Lane.NEVER, policies=("a",), reason="no", policy_version="1", facts={})
    meter_run(ME, kind=RunKind.TURN, state=RunState.FAILED, seconds=1)
    meter_decision(ME, kind=ActionKind.CALL_TOOL, decision=decision)
    meter_approval(ME, outcome="asked")
    meter_model(ME, operation="chat", model="chat", outcome="failed", usage=usage, seconds=1)
    meter_tool(ME, tool="t", effect=Effect.READ, outcome="ok", seconds=1)
    meter_store(ME.tenant, operation="read", container="events", bytes_=1, charge=1)
