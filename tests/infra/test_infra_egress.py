"""One list says what is called from within a stamp: the application, the firewall and the page agree."""

import re
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from yarl import URL

from core.errors import Defect
from mandate.outbound import FILE, Destinations, page
from mandate.services import Services
from mandate.settings import ROOT
from web import Outbound, OutboundConnector

LISTED = Destinations.load(ROOT / "environments").destinations
CLOUD = "split(environment().authentication.loginEndpoint, '/')[2]"


def of(resources: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in resources if one["type"].lower() == kind.lower()]


def test_every_setting_that_leads_out_is_in_the_list_once() -> None:
    named = [name for one in LISTED.values() for name in one.settings]
    assert len(set(named)) == len(named)
    declared = {name for service in Services.load(ROOT / "environments").services.values() for name in service.egress}
    assert set(named) - {"APPLICATIONINSIGHTS_CONNECTION_STRING"} == declared


def test_the_page_is_what_the_list_says() -> None:
    assert (ROOT / FILE).read_text() == page(ROOT), "mandate infra egress writes it anew"


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://office.example:8443/orders", True),
        ("https://office.example/orders", False),
        ("http://office.example:8443/orders", False),
        ("https://acme.search.windows.net/indexes", True),
        ("https://search.windows.net/indexes", False),
        ("https://acme.search.windows.net.evil.example/", False),
        ("https://acme.search.windows.net:8443/", False),
        ("http://acme.search.windows.net/", False),
        ("https://page.example/", True),
        ("https://169.254.169.254/metadata", False),
        ("https://control.internal/", True),
    ],
)
def test_a_process_calls_what_its_settings_name_and_what_the_list_names(url: str, *, allowed: bool) -> None:
    given = {
        "MANDATE_BACKOFFICE_URL": "https://office.example:8443/api",
        "MANDATE_PAGES": "https://page.example/, https://other.example/news/",
        "MANDATE_CONTROL_URL": "https://control.internal",
        "MANDATE_STORE": "mandate.db",
    }
    assert Destinations.load(ROOT / "environments").outbound(given).allows(URL(url)) is allowed


def test_what_listens_on_the_machine_may_be_called_on_a_laptop_only() -> None:
    listed = Destinations.load(ROOT / "environments")
    emulator = URL("https://127.0.0.1:8443/")
    assert listed.outbound({}, local=True).allows(emulator)
    assert not listed.outbound({}).allows(emulator)


async def test_a_session_connects_to_nothing_else() -> None:
    connector = OutboundConnector(
        Outbound.of(["https://there.example"]), tls=ssl.create_default_context(), keepalive_seconds=1
    )
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(Defect, match=r"egress\.yaml"):
            await session.get("https://elsewhere.example/")


def test_the_firewall_lets_through_what_the_list_names_and_no_more(
    variant: Callable[..., list[dict[str, Any]]],
) -> None:
    found = variant(
        egress="firewall", pages="https://page.example/,https://other.example/news/", marketplaceClientId="m"
    )
    (group,) = of(found, "Microsoft.Network/firewallPolicies/ruleCollectionGroups")
    names, cloud, clocks = group["properties"]["ruleCollections"]
    rules = {rule["name"]: rule for rule in names["rules"]}
    assert {rule["protocols"][0]["port"] for rule in rules.values()} == {443}
    given = {
        "back-office": ["backoffice.example"],
        "pages": ["page.example", "other.example"],
        "marketplace": ["marketplaceapi.microsoft.com"],
    }
    for name, one in LISTED.items():
        hosts = rules.get(name, {"targetFqdns": []})["targetFqdns"]
        if one.private:
            assert hosts == []
            continue
        assert hosts == [*one.hosts, *given.get(name, [])]
    named = {name for name, one in LISTED.items() if not one.private and (one.hosts or given.get(name))}
    assert set(rules) == named
    assert {kind for one in LISTED.values() for kind in one.cloud} == {rule["name"] for rule in cloud["rules"]}
    assert [CLOUD in host for rule in cloud["rules"] for host in rule["targetFqdns"]] == [True, True]
    assert [rule["destinationPorts"] for rule in clocks["rules"]] == [["123"]]


def test_with_a_firewall_nothing_goes_another_way(variant: Callable[..., list[dict[str, Any]]]) -> None:
    found = variant(egress="firewall")
    (network,) = of(found, "Microsoft.Network/virtualNetworks")
    subnets = {one["name"]: one["properties"] for one in network["properties"]["subnets"]}
    (routes,) = of(found, "Microsoft.Network/routeTables")
    assert subnets["services"]["routeTable"]["id"] == routes["id"]
    assert subnets["services"].get("natGateway") is None
    assert of(found, "Microsoft.Network/natGateways") == []
    (route,) = routes["properties"]["routes"]
    assert route["properties"]["nextHopIpAddress"] == "10.64.2.68"
    assert subnets["AzureFirewallSubnet"]["addressPrefix"] == "10.64.2.64/26"
    (firewall,) = of(found, "Microsoft.Network/azureFirewalls")
    assert firewall["properties"]["ipConfigurations"][0]["properties"]["subnet"]["id"].endswith("/AzureFirewallSubnet")


def test_a_stamp_joins_a_network_and_zones_that_exist(variant: Callable[..., list[dict[str, Any]]]) -> None:
    group = "/subscriptions/s/resourceGroups/hub"
    network = f"{group}/providers/Microsoft.Network/virtualNetworks/hub"
    joined = {"servicesSubnetId": f"{network}/subnets/apps", "endpointsSubnetId": f"{network}/subnets/links"}
    found = variant(**joined, privateDns="existing", dnsGroupId=group)
    made = {one["type"] for one in found if one["type"].startswith("Microsoft.Network/")}
    assert "Microsoft.Network/virtualNetworks" not in made
    assert not made & {"Microsoft.Network/natGateways", "Microsoft.Network/networkSecurityGroups"}
    (platform,) = of(found, "Microsoft.App/managedEnvironments")
    assert platform["properties"]["vnetConfiguration"]["infrastructureSubnetId"] == joined["servicesSubnetId"]
    for endpoint in of(found, "Microsoft.Network/privateEndpoints"):
        assert endpoint["properties"]["subnet"]["id"] == joined["endpointsSubnetId"]
    groups = of(found, "Microsoft.Network/privateEndpoints/privateDnsZoneGroups")
    zones = [
        one["properties"]["privateDnsZoneId"] for each in groups for one in each["properties"]["privateDnsZoneConfigs"]
    ]
    assert zones
    assert all(group in zone and "privatelink." in zone for zone in zones)
    none = variant(**joined, privateDns="none")
    assert not any(re.search("privateDnsZone", one["type"]) for one in none)
