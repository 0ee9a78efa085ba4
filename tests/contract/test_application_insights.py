"""Telemetry into Application Insights: Microsoft's own exporter against a strict stand-in over HTTPS, by identity."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from aiohttp import web
from azure_stand_ins import INSIGHTS_CLIENT_ID, INSTRUMENTATION, Insights

from core import Effect, Principal, PrincipalId, PrincipalKind, TenantContext, TenantId
from emulators.authority import LocalAuthority
from telemetry import Destinations, configure, meter_tool, shutdown, span
from telemetry.azure_monitor import OFF

CANARY = "canary words of a customer"
ME = TenantContext(
    tenant=TenantId("ten_a"),
    principal=Principal(id=PrincipalId("prn_a"), kind=PrincipalKind.USER),
    plan="team",
    region="westeurope",
    correlation="cor_a",
)


@pytest.fixture
async def insights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[tuple[Insights, Destinations]]:
    authority = await asyncio.to_thread(LocalAuthority.open, tmp_path / "authority")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue(["127.0.0.1"]))
    stand_in, app = Insights(), web.Application()
    app.add_routes([web.get("/msi/token", stand_in.token), web.post("/v2.1/track", stand_in.track)])
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()  # the platform's endpoint is plain HTTP on the machine itself
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    plain, encrypted = (address[1] for address in runner.addresses)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{plain}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "secret")
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
    for name in OFF:
        monkeypatch.setenv(name, "")  # put back afterwards
    connection = f"InstrumentationKey={INSTRUMENTATION};IngestionEndpoint=https://127.0.0.1:{encrypted}"
    try:
        yield stand_in, Destinations(insights=connection, client_id=INSIGHTS_CLIENT_ID, ca_file=authority.ca_file)
    finally:
        await shutdown()
        configure("test", "0", "local")
        await runner.cleanup()


def use() -> None:
    with pytest.raises(ValueError, match=CANARY), span("chat chat", ME, span_kind="client", tool=CANARY, step=3):
        raise ValueError(CANARY)
    meter_tool(ME, tool="issue_refund", effect=Effect.WRITE, outcome="ok", seconds=0.5)


async def test_spans_and_metrics_arrive_by_the_identity_of_the_service_and_hold_no_content(
    insights: tuple[Insights, Destinations],
) -> None:
    stand_in, destination = insights
    configure("mandate-orchestration", "1.2.3", "prod", destination)
    use()
    assert await shutdown()
    assert not stand_in.refused
    (call,) = (item for item in stand_in.items if item["data"]["baseType"] == "RemoteDependencyData")
    assert call["data"]["baseData"]["properties"]["mandate.tenant"] == "ten_a"
    assert call["data"]["baseData"]["success"] is False
    assert call["tags"]["ai.cloud.role"] == "mandate.mandate-orchestration"
    metrics = [
        (point["name"], item["data"]["baseData"]["properties"].get("mandate.outcome"))
        for item in stand_in.items
        if item["data"]["baseType"] == "MetricData"
        for point in item["data"]["baseData"]["metrics"]
    ]
    assert ("mandate.tool.calls", "ok") in metrics
    assert CANARY not in json.dumps(stand_in.items)


async def test_who_has_no_identity_there_reports_nothing_and_goes_on(insights: tuple[Insights, Destinations]) -> None:
    stand_in, destination = insights
    stranger = Destinations(insights=destination.insights, client_id="another", ca_file=destination.ca_file)
    configure("mandate-orchestration", "1.2.3", "prod", stranger)
    use()
    async with asyncio.timeout(30):
        await shutdown()
    assert stand_in.items == []
