"""Code and infrastructure agree: what a service needs is given, nothing else is, and everything deployed is used."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from infra_files import of_type, snapshot
from metered import carried, misses

from mandate.infra.building import DEPLOYED, parameter_file
from mandate.services import Name, Service, Services
from mandate.settings import ROOT

SERVICES = Services.load(ROOT / "environments").services

NOT_GIVEN = {
    "MANDATE_STORE_REGIONS": "the account has one region",
    "MANDATE_CHECKPOINT_MINUTES": "the default",
    "MANDATE_READERS": "the default",
    "MANDATE_INSTANCE": "the platform says it as CONTAINER_APP_REPLICA_NAME",
    "MANDATE_CA_FILE": "certificates in Azure are those that everybody trusts",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "telemetry goes to Application Insights",
    "MANDATE_SOURCES_CLIENT_ID": "a parameter, empty here",
    "MANDATE_PAGES": "a parameter, empty here",
    "MANDATE_ARM_URL": "where managed applications are sold: a parameter, false here",
    "MANDATE_APPLICATIONS_SECRET": "with that",
    "MANDATE_HEARTBEAT_URL": "in a stamp at a customer's who wants it",
    "MANDATE_HEARTBEAT_AUDIENCE": "with that",
    "MANDATE_PUBLISHER_CONTROLS": "with that, where the publisher's control plane is obeyed too",
    **dict.fromkeys(
        ("MANDATE_MARKETPLACE_URL", "MANDATE_MARKETPLACE_CLIENT_ID", "MANDATE_MARKETPLACE_TENANT"),
        "parameters, empty here",
    ),
}
"""Settings that a stamp leaves out; those of the laptop's catalogue are found by their names."""

CONSUMED = {
    "Microsoft.DocumentDB/databaseAccounts": "MANDATE_STORE",
    "Microsoft.Storage/storageAccounts": "MANDATE_BLOBS",
    "Microsoft.KeyVault/vaults": "MANDATE_EVIDENCE_KEY",
    "Microsoft.AppConfiguration/configurationStores": "MANDATE_CONFIGURATION",
    "Microsoft.CognitiveServices/accounts": "MODEL_ENDPOINT_PRIMARY",
    "Microsoft.App/managedEnvironments": "MANDATE_CONTROL_URL",
    "Microsoft.Cdn/profiles": "MANDATE_PUBLIC_URL",
    "Microsoft.Insights/components": "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "MANDATE_CLIENT_ID_INTERACTION",
}
"""What a setting of a service leads to. With a type its parts are consumed."""

SUPPORTING = {
    "Microsoft.App/containerApps": "the services themselves",
    "Microsoft.App/jobs": "they load the configuration and take organisations on: the jobs of services.yaml",
    "Microsoft.Authorization/policyAssignments": "nobody opens a stamp to keys or other regions",
    "Microsoft.Insights/workbooks": "what the services count",
    "Microsoft.Network/virtualNetworks": "the environment is in it",
    "Microsoft.Network/networkSecurityGroups": "of the network",
    "Microsoft.Network/natGateways": "the way out, to the back office and to sign-in",
    "Microsoft.Network/publicIPAddresses": "of the way out",
    "Microsoft.Network/privateEndpoints": "the only way to what settings lead to",
    "Microsoft.Network/privateDnsZones": "names of the private endpoints",
    "Microsoft.Network/FrontDoorWebApplicationFirewallPolicies": "of Front Door",
    "Microsoft.Authorization/roleAssignments": "the roles of services.yaml",
    "Microsoft.OperationalInsights/workspaces": "Application Insights and logs lie in it",
    "Microsoft.Insights/diagnosticSettings": "logs of the others",
    "Microsoft.Insights/scheduledQueryRules": "the alerts of docs/runbooks.md",
    "Microsoft.Insights/actionGroups": "whom alerts tell",
    "Microsoft.Consumption/budgets": "the publisher",
    "Microsoft.Resources/resourceGroups": "the stamp",
}

everywhere = pytest.mark.parametrize("environment", DEPLOYED)


def container(environment: str, service: str) -> dict[str, Any]:
    (app,) = (one for one in of_type(environment, "Microsoft.App/containerApps") if one["name"] == service)
    (found,) = app["properties"]["template"]["containers"]
    return found


def settings(environment: str, service: str) -> dict[str, str]:
    given = [(one["name"], one["value"]) for one in container(environment, service)["env"]]
    assert len(dict(given)) == len(given)
    return dict(given)


@everywhere
@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_given_what_it_declares_and_nothing_else(environment: str, name: Name) -> None:
    declared = {setting.rstrip("*") for setting in SERVICES[name].settings}
    given = settings(environment, name)
    assert set(given) <= declared
    assert set(SERVICES[name].required) <= set(given)
    left_out = {one for one in declared - set(given) if not re.match("MANDATE_(MODEL|EMBED)_|MODEL_ENDPOINT$", one)}
    assert left_out <= set(NOT_GIVEN)
    assert all(given.values())
    assert given["MANDATE_ENVIRONMENT"] == environment


@everywhere
@pytest.mark.parametrize("name", SERVICES)
def test_a_service_runs_as_declared(environment: str, name: Name) -> None:
    service: Service = SERVICES[name]
    (app,) = (one for one in of_type(environment, "Microsoft.App/containerApps") if one["name"] == name)
    found = container(environment, name)
    assert found["command"] == list(service.command)
    assert app["properties"]["configuration"]["ingress"]["targetPort"] == service.port
    assert app["properties"]["configuration"]["ingress"]["external"] is service.public
    paths = {(probe["type"], probe["httpGet"]["path"], probe["httpGet"]["port"]) for probe in found["probes"]}
    live, ready = service.probes.live, service.probes.ready
    assert paths == {
        ("Startup", ready, service.port),
        ("Liveness", live, service.port),
        ("Readiness", ready, service.port),
    }
    assert re.search("@sha256:[0-9a-f]{64}$", found["image"])
    assert [identity.rpartition("-")[2] for identity in app["identity"]["userAssignedIdentities"]] == [service.identity]
    assert app["properties"]["template"]["scale"]["minReplicas"] >= 1, "runs go on by themselves"


@everywhere
def test_a_job_runs_as_declared_when_somebody_starts_it(environment: str) -> None:
    declared = Services.load(ROOT / "environments").jobs
    found = {one["name"]: one for one in of_type(environment, "Microsoft.App/jobs")}
    assert found.keys() == declared.keys()
    for name, job in declared.items():
        properties = found[name]["properties"]
        (one,) = properties["template"]["containers"]
        assert one["command"] == list(job.command)
        assert {setting["name"] for setting in one["env"]} == {setting.rstrip("*") for setting in job.settings}
        assert properties["configuration"]["triggerType"] == "Manual"
        (identity,) = found[name]["identity"]["userAssignedIdentities"]
        assert identity.endswith(f"-{job.identity}")


@everywhere
def test_a_service_calls_its_peers_where_they_are(environment: str) -> None:
    for name, service in SERVICES.items():
        for peer in SERVICES:
            setting = f"MANDATE_{peer.upper()}_URL"
            given = settings(environment, name)
            assert (setting in given) is (peer in service.peers), (name, peer)
            if setting in given:
                assert f"https://{peer}.internal." in given[setting]


@everywhere
def test_interaction_always_knows_where_a_candidate_of_orchestration_would_be(environment: str) -> None:
    given = settings(environment, "interaction")
    there = "https://orchestration---candidate.internal."
    stable = given["MANDATE_ORCHESTRATION_URL"].replace("https://orchestration.internal.", there)
    assert given["MANDATE_ORCHESTRATION_CANDIDATE_URL"] == stable
    assert there in stable


@pytest.mark.parametrize(
    ("given", "traffic"),
    [
        ({}, [{"latestRevision": True, "weight": 100, "label": "candidate"}]),
        (
            {"revision": "r43", "stableRevision": "r42", "weight": 25},
            [
                {"revisionName": "r42", "weight": 75, "label": "stable"},
                {"revisionName": "r43", "weight": 25, "label": "candidate"},
            ],
        ),
    ],
    ids=["the only one", "beside the stable one"],
)
def test_the_newest_revision_is_reached_as_the_candidate_also_when_it_gets_all_traffic(
    given: dict[str, Any], traffic: list[dict[str, Any]], variant: Callable[..., list[dict[str, Any]]]
) -> None:
    apps = [one for one in variant(**given) if one["type"] == "Microsoft.App/containerApps"]
    assert len(apps) == len(SERVICES)
    for app in apps:
        named = [
            one | {"revisionName": f"{app['name']}--{one['revisionName']}"} if "revisionName" in one else one
            for one in traffic
        ]
        assert app["properties"]["configuration"]["ingress"]["traffic"] == named


@everywhere
def test_whoever_may_call_is_known_by_its_own_identity(environment: str) -> None:
    for name, service in SERVICES.items():
        for identity in (service.identity, *service.accepts):
            value = settings(environment, name)[f"MANDATE_CLIENT_ID_{identity.upper()}"]
            assert f"-{identity}'" in value, value
            assert value.endswith(".clientId]")


@everywhere
def test_the_store_has_the_containers_that_the_adapter_reads(environment: str) -> None:
    wanted = yaml.safe_load((ROOT / "environments/containers.yaml").read_text())["containers"]
    kind = "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers"
    assert [one["properties"]["resource"] for one in of_type(environment, kind)] == wanted
    (database,) = of_type(environment, "Microsoft.DocumentDB/databaseAccounts/sqlDatabases")
    assert database["properties"]["resource"]["id"] == "mandate"
    (content,) = (
        one
        for one in of_type(environment, "Microsoft.Storage/storageAccounts/blobServices/containers")
        if "content" in one["id"]
    )
    assert content["name"].endswith("/content")


@everywhere
def test_everything_that_is_deployed_is_used(environment: str) -> None:
    values = "\n".join(value for name in SERVICES for value in settings(environment, name).values())
    for kind, setting in CONSUMED.items():
        assert any(setting in settings(environment, name) for name in SERVICES)
        assert f"/{kind}/" in values, f"no setting leads to a {kind}"
    known = (*CONSUMED, *SUPPORTING)
    unknown = {one["type"] for one in snapshot(environment) if not one["type"].startswith(known)}
    assert unknown == set(), "what is deployed needs a consumer"
    idle = [kind for kind in known if not any(one["type"].startswith(kind) for one in snapshot(environment))]
    assert idle == []


def test_alerts_ask_for_metrics_that_exist_and_lead_to_what_to_do() -> None:
    runbooks = (ROOT / "docs/runbooks.md").read_text()
    rules = of_type("prod", "Microsoft.Insights/scheduledQueryRules")
    assert len(rules) == len(yaml.safe_load((ROOT / "infra/alerts.yaml").read_text())["alerts"])
    sent = carried()
    for rule in rules:
        (criterion,) = rule["properties"]["criteria"]["allOf"]
        assert misses(criterion["query"], sent) == set(), rule["name"]
        assert f"{criterion['metricMeasureColumn']} =" in criterion["query"]
        heading = rule["properties"]["actions"]["customProperties"]["runbook"].partition("#")[2]
        assert f"## {heading}\n" in runbooks


def test_the_workbook_asks_for_what_the_services_send() -> None:
    (workbook,) = of_type("prod", "Microsoft.Insights/workbooks")
    items = json.loads(workbook["properties"]["serializedData"])["items"]
    queries = {item["name"]: item["content"]["query"] for item in items if item["type"] == 3}
    sent = carried()
    assert len(queries) >= 10
    assert {name: misses(query, sent) for name, query in queries.items() if misses(query, sent)} == {}
    for wanted in ("Turns", "Decisions", "Refusals", "Approvals", "Cost", "how long"):
        assert any(wanted in name for name in queries), wanted


def test_environments_differ_in_values_only() -> None:
    def kinds(environment: str) -> list[str]:
        return sorted(one["type"] for one in snapshot(environment))

    assert kinds("dev") == kinds("staging") == kinds("prod")


def test_stamps_in_two_regions_are_two_whole_stamps(predicted: Callable[..., list[dict[str, Any]]]) -> None:
    text = parameter_file("prod").read_text().partition("main.bicep'\n")[2]
    text = text.replace("loadYamlContent('release.yaml').image", f"'registry.example/mandate@sha256:{'0' * 64}'")
    (entry,) = re.findall(r"param stamps = \[\n(.*?)\]\n", text, re.DOTALL)
    other = entry.replace("mandate-prod-weu", "mandate-prod-eus").replace("westeurope", "eastus2")
    found = predicted("main.bicep", text.replace(entry, entry + other.replace("10.66.", "10.67.")))
    here, there = (
        sorted(one["type"] for one in found if f"/resourcegroups/{name}/" in one["id"].lower())
        for name in ("mandate-prod-weu", "mandate-prod-eus")
    )
    assert here == there
    assert len(here) > 100
    ids = [one["id"] for one in found]
    assert len(set(ids)) == len(ids)
