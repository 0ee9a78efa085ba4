"""A small Azure Resource Manager: the routes that preflight and the edge ask, answering as they are documented to."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from mandate.infra.arm import Arm

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
ROOT = f"/subscriptions/{SUBSCRIPTION}"
NAMESPACES = (
    *("Microsoft.App", "Microsoft.AppConfiguration", "Microsoft.Authorization", "Microsoft.Cdn"),
    "Microsoft.CognitiveServices",
    *("Microsoft.Consumption", "Microsoft.DocumentDB", "Microsoft.Insights", "Microsoft.KeyVault"),
    *("Microsoft.ManagedIdentity", "Microsoft.Network", "Microsoft.OperationalInsights", "Microsoft.Resources"),
    "Microsoft.Storage",
)
MODELS = (("gpt-5.1", "2025-11-13"), ("gpt-5.4-mini", "2026-03-17"), ("text-embedding-3-small", "1"))
REGIONS = ("westeurope", "swedencentral")


def model(name: str, version: str) -> dict[str, Any]:
    sku = {"name": "DataZoneStandard", "usageName": f"OpenAI.DataZoneStandard.{name}", "capacity": {"default": 10}}
    other = {"name": "GlobalStandard", "usageName": f"OpenAI.GlobalStandard.{name}"}
    return {"kind": "OpenAI", "model": {"format": "OpenAI", "name": name, "version": version, "skus": [other, sku]}}


def usage(name: str, limit: float, current: float = 0) -> dict[str, Any]:
    return {"name": {"value": name, "localizedValue": name}, "limit": limit, "currentValue": current, "unit": "Count"}


def connection(stamp: str, name: str, description: str, status: str) -> dict[str, Any]:
    place = f"{ROOT}/resourceGroups/{stamp}/providers/Microsoft.App/managedEnvironments/{stamp}"
    state = {"status": status, "description": description, "actionsRequired": "None"}
    return {
        "id": f"{place}/privateEndpointConnections/{name}",
        "name": name,
        "properties": {"privateLinkServiceConnectionState": state},
    }


@dataclass
class Subscription:
    """What the server says; a test takes something away. `asked` has every request, `lists` one page or several."""

    state: str = "Enabled"
    providers: dict[str, str] = field(default_factory=lambda: dict.fromkeys(NAMESPACES, "Registered"))
    places: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    permissions: list[dict[str, Any]] = field(default_factory=lambda: [{"actions": ["*"], "notActions": []}])
    models: list[dict[str, Any]] = field(default_factory=lambda: [model(*one) for one in MODELS])
    usages: list[dict[str, Any]] = field(
        default_factory=lambda: [usage(f"OpenAI.DataZoneStandard.{name}", 300) for name, _ in MODELS]
    )
    environments: list[dict[str, Any]] = field(default_factory=lambda: [usage("ManagedEnvironmentCount", 15)])
    cores: list[dict[str, Any]] = field(default_factory=lambda: [usage("ManagedEnvironmentConsumptionCores", 100, 6)])
    cosmos: dict[str, Any] = field(
        default_factory=lambda: {
            "status": "Online",
            "supportsAvailabilityZone": True,
            "isSubscriptionRegionAccessAllowedForRegular": True,
            "isSubscriptionRegionAccessAllowedForAz": True,
        }
    )
    groups: set[str] = field(default_factory=set[str])
    refusal: dict[str, Any] | None = None
    changes: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    connections: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    job: dict[str, Any] = field(default_factory=dict[str, Any])
    states: list[str] = field(default_factory=lambda: ["Running", "Succeeded"])
    asked: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    sent: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


def listed(*items: dict[str, Any]) -> web.Response:
    return web.json_response({"value": list(items)})


def missing() -> web.Response:
    error = {"code": "ResourceNotFound", "message": "The Resource was not found."}
    return web.json_response({"error": error}, status=404)


def application(subscription: Subscription) -> web.Application:  # noqa: C901 - a list of routes
    routes = web.RouteTableDef()

    @web.middleware
    async def noted(request: web.Request, handler: Any) -> web.StreamResponse:
        subscription.asked.append((request.method, request.path, request.query.get("api-version", "")))
        if request.headers.get("authorization") != "Bearer of the deployer":
            error = {"code": "AuthenticationFailed", "message": "Authentication failed."}
            return web.json_response({"error": error}, status=401)
        if request.can_read_body:
            subscription.sent.append(await request.json())
        answer: web.StreamResponse = await handler(request)
        return answer

    @routes.get(ROOT)
    async def whole(_: web.Request) -> web.Response:
        return web.json_response({"id": ROOT, "subscriptionId": SUBSCRIPTION, "state": subscription.state})

    @routes.get(f"{ROOT}/providers")
    async def providers(request: web.Request) -> web.Response:
        found = [
            {
                "namespace": name,
                "registrationState": state,
                "resourceTypes": [
                    {"resourceType": kind.partition("/")[2], "locations": places}
                    for kind, places in subscription.places.items()
                    if kind.startswith(f"{name}/")
                ],
            }
            for name, state in sorted(subscription.providers.items())
        ]
        half = len(found) // 2
        if "page" in request.query:
            return listed(*found[half:])
        following = str(request.url.update_query(page="2"))
        return web.json_response({"value": found[:half], "nextLink": following})

    @routes.get(f"{ROOT}/providers/Microsoft.Authorization/permissions")
    async def permissions(_: web.Request) -> web.Response:
        return listed(*subscription.permissions)

    @routes.get(f"{ROOT}/providers/Microsoft.CognitiveServices/locations/{{region}}/models")
    async def models(request: web.Request) -> web.Response:
        return listed(*subscription.models) if request.match_info["region"] in REGIONS else missing()

    @routes.get(f"{ROOT}/providers/Microsoft.CognitiveServices/locations/{{region}}/usages")
    async def usages(_: web.Request) -> web.Response:
        return listed(*subscription.usages)

    @routes.get(f"{ROOT}/providers/Microsoft.App/locations/{{region}}/usages")
    async def environments(_: web.Request) -> web.Response:
        return listed(*subscription.environments)

    @routes.get(f"{ROOT}/providers/Microsoft.DocumentDB/locations/{{region}}")
    async def cosmos(request: web.Request) -> web.Response:
        return web.json_response({"name": request.match_info["region"], "properties": subscription.cosmos})

    @routes.get(f"{ROOT}/resourceGroups/{{group}}")
    async def group(request: web.Request) -> web.Response:
        name = request.match_info["group"]
        return web.json_response({"name": name}) if name in subscription.groups else missing()

    environment = f"{ROOT}/resourceGroups/{{group}}/providers/Microsoft.App/managedEnvironments/{{name}}"

    @routes.get(f"{environment}/usages")
    async def cores(request: web.Request) -> web.Response:
        return listed(*subscription.cores) if request.match_info["group"] in subscription.groups else missing()

    @routes.get(f"{environment}/privateEndpointConnections")
    async def connections(_: web.Request) -> web.Response:
        return listed(*subscription.connections.values())

    @routes.put(f"{environment}/privateEndpointConnections/{{connection}}")
    async def approved(request: web.Request) -> web.Response:
        one = subscription.connections[request.match_info["connection"]]
        one["properties"] |= deepcopy(subscription.sent[-1]["properties"])
        return web.json_response(one)

    job = f"{ROOT}/resourceGroups/{{group}}/providers/Microsoft.App/jobs/{{name}}"

    @routes.get(job)
    async def deployed_job(_: web.Request) -> web.Response:
        return web.json_response(subscription.job) if subscription.job else missing()

    @routes.post(f"{job}/start")
    async def start(request: web.Request) -> web.Response:
        return web.json_response({"name": f"{request.match_info['name']}-1", "id": "one"})

    @routes.get(f"{job}/executions/{{execution}}")
    async def execution(request: web.Request) -> web.Response:
        state = subscription.states.pop(0) if len(subscription.states) > 1 else subscription.states[0]
        return web.json_response({"name": request.match_info["execution"], "properties": {"status": state}})

    deployment = f"{ROOT}/providers/Microsoft.Resources/deployments/{{name}}"

    @routes.post(f"{deployment}/validate")
    async def validate(_: web.Request) -> web.Response:
        if subscription.refusal:
            return web.json_response({"error": subscription.refusal}, status=400)
        return web.json_response({"properties": {"provisioningState": "Succeeded"}})

    @routes.post(f"{deployment}/whatIf")
    async def what_if(request: web.Request) -> web.Response:
        later = str(request.url.with_path(f"{ROOT}/operationresults/one"))
        return web.Response(status=202, headers={"location": later, "retry-after": "0"})

    @routes.get(f"{ROOT}/operationresults/one")
    async def result(request: web.Request) -> web.Response:
        looked = sum(path.endswith("/operationresults/one") for _, path, _ in subscription.asked)
        if looked == 1:
            return web.Response(status=202, headers={"location": str(request.url), "retry-after": "0"})
        return web.json_response({"status": "Succeeded", "properties": {"changes": subscription.changes}})

    app = web.Application(middlewares=[noted], client_max_size=4 * 1024 * 1024)
    app.add_routes(routes)
    return app


@asynccontextmanager
async def resource_manager(subscription: Subscription, token: str = "of the deployer") -> AsyncGenerator[Arm]:
    """Give a client of the server, signed in."""

    async def bearer(scope: str) -> str:
        assert scope.endswith("/.default")
        return token

    async with TestServer(application(subscription)) as server, aiohttp.ClientSession() as session:
        yield Arm(session, bearer, SUBSCRIPTION, address=str(server.make_url("")), pause=0)
