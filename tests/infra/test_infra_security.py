"""What would be deployed lets in whom it should: asserted as values, since the compiler takes any text for most."""

import re
from typing import Any

import pytest
from infra_files import of_type, snapshot

from mandate.infra.building import DEPLOYED

SHUT: dict[str, dict[str, Any]] = {
    "Microsoft.DocumentDB/databaseAccounts": {
        "publicNetworkAccess": "Disabled",
        "disableLocalAuth": True,
        "disableKeyBasedMetadataWriteAccess": True,
        "minimalTlsVersion": "Tls12",
        "networkAclBypass": "None",
    },
    "Microsoft.Storage/storageAccounts": {
        "publicNetworkAccess": "Disabled",
        "allowSharedKeyAccess": False,
        "allowBlobPublicAccess": False,
        "allowCrossTenantReplication": False,
        "isLocalUserEnabled": False,
        "minimumTlsVersion": "TLS1_2",
        "supportsHttpsTrafficOnly": True,
        "networkAcls": {"defaultAction": "Deny", "bypass": "None"},
    },
    "Microsoft.KeyVault/vaults": {
        "publicNetworkAccess": "Disabled",
        "enableRbacAuthorization": True,
        "enablePurgeProtection": True,
        "enableSoftDelete": True,
        "networkAcls": {"defaultAction": "Deny", "bypass": "None"},
    },
    "Microsoft.CognitiveServices/accounts": {
        "publicNetworkAccess": "Disabled",
        "disableLocalAuth": True,
        "restrictOutboundNetworkAccess": True,
        "networkAcls": {"defaultAction": "Deny"},
    },
    "Microsoft.App/managedEnvironments": {
        "publicNetworkAccess": "Disabled",
        "peerAuthentication": {"mtls": {"enabled": True}},
        "peerTrafficConfiguration": {"encryption": {"enabled": True}},
    },
    "Microsoft.AppConfiguration/configurationStores": {
        "publicNetworkAccess": "Disabled",
        "disableLocalAuth": True,
        "enablePurgeProtection": True,
    },
    "Microsoft.OperationalInsights/workspaces": {"features": {"disableLocalAuth": True}},
    "Microsoft.Insights/components": {"DisableLocalAuth": True},
}

LOGGED = {
    "Microsoft.App/containerApps",
    "Microsoft.App/managedEnvironments",
    "Microsoft.AppConfiguration/configurationStores",
    "Microsoft.Cdn/profiles",
    "Microsoft.CognitiveServices/accounts",
    "Microsoft.DocumentDB/databaseAccounts",
    "Microsoft.KeyVault/vaults",
    "Microsoft.Network/networkSecurityGroups",
    "Microsoft.Network/publicIPAddresses",
    "Microsoft.Network/virtualNetworks",
    "Microsoft.OperationalInsights/workspaces",
    "Microsoft.Storage/storageAccounts/blobServices",
}
"""Every type here that takes diagnostic settings; Application Insights lies in the workspace already."""

UNTAGGED = {
    *("Microsoft.Authorization/roleAssignments", "Microsoft.Consumption/budgets"),
    "Microsoft.Authorization/policyAssignments",
    *("Microsoft.Insights/diagnosticSettings", "Microsoft.Cdn/profiles/afdEndpoints/routes"),
    *("Microsoft.Cdn/profiles/originGroups", "Microsoft.Cdn/profiles/originGroups/origins"),
    *("Microsoft.Cdn/profiles/securityPolicies", "Microsoft.CognitiveServices/accounts/raiPolicies"),
    *("Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments", "Microsoft.Storage/storageAccounts/blobServices"),
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups",
    "Microsoft.Storage/storageAccounts/blobServices/containers",
}
"""Every type here that takes no tags."""

everywhere = pytest.mark.parametrize("environment", DEPLOYED)


@everywhere
@pytest.mark.parametrize("kind", SHUT)
def test_nothing_is_reached_from_outside_or_with_a_key(environment: str, kind: str) -> None:
    found = of_type(environment, kind)
    assert found
    for resource in found:
        given = resource["properties"]
        assert {name: given.get(name) for name in SHUT[kind]} == SHUT[kind], resource["name"]


@everywhere
def test_whatever_can_be_reached_publicly_says_that_it_is_not(environment: str) -> None:
    """A type that is added needs a decision here."""
    switches = ("publicNetworkAccess", "disableLocalAuth", "allowSharedKeyAccess", "adminUserEnabled")
    having = {
        one["type"] for one in snapshot(environment) if any(name in one.get("properties", {}) for name in switches)
    }
    assert having <= set(SHUT)
    listening = {one["type"] for one in snapshot(environment) if re.search("(?i)accounts?$|vaults$", one["type"])}
    assert {kind.lower() for kind in listening} <= {kind.lower() for kind in SHUT}


@everywhere
def test_each_of_them_has_an_address_inside_the_network_found_by_name(environment: str) -> None:
    reached = {
        link["properties"]["privateLinkServiceId"]
        for endpoint in of_type(environment, "Microsoft.Network/privateEndpoints")
        for link in endpoint["properties"]["privateLinkServiceConnections"]
    }
    behind = ("Microsoft.DocumentDB/databaseAccounts", "Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults")
    for kind in (*behind, "Microsoft.AppConfiguration/configurationStores", "Microsoft.CognitiveServices/accounts"):
        assert {one["id"] for one in of_type(environment, kind)} <= reached
    groups = of_type(environment, "Microsoft.Network/privateEndpoints/privateDnsZoneGroups")
    zones = {one["id"] for one in of_type(environment, "Microsoft.Network/privateDnsZones")}
    named = {
        zone["properties"]["privateDnsZoneId"] for one in groups for zone in one["properties"]["privateDnsZoneConfigs"]
    }
    assert len(groups) == len(reached)
    assert named == zones


@everywhere
def test_only_people_come_from_outside_and_only_encrypted(environment: str) -> None:
    apps = {
        one["name"]: one["properties"]["configuration"]["ingress"]
        for one in of_type(environment, "Microsoft.App/containerApps")
    }
    assert {name for name, ingress in apps.items() if ingress["external"]} == {"interaction"}
    assert not any(ingress["allowInsecure"] for ingress in apps.values())
    (platform,) = of_type(environment, "Microsoft.App/managedEnvironments")
    assert platform["properties"]["vnetConfiguration"]["internal"] is True
    (firewall,) = of_type(environment, "Microsoft.Network/FrontDoorWebApplicationFirewallPolicies")
    assert firewall["properties"]["policySettings"] | {"requestBodyCheck": ""} == {
        "enabledState": "Enabled",
        "mode": "Prevention",
        "requestBodyCheck": "",
    }
    (route,) = of_type(environment, "Microsoft.Cdn/profiles/afdEndpoints/routes")
    assert route["properties"]["httpsRedirect"] == "Enabled"
    assert route["properties"]["forwardingProtocol"] == "HttpsOnly"


@everywhere
def test_rules_of_the_network_end_with_no_and_open_nothing_to_the_internet(environment: str) -> None:
    for group in of_type(environment, "Microsoft.Network/networkSecurityGroups"):
        rules = [{"name": rule["name"], **rule["properties"]} for rule in group["properties"]["securityRules"]]
        last = max((rule for rule in rules if rule["direction"] == "Inbound"), key=lambda rule: rule["priority"])
        assert (last["access"], last["sourceAddressPrefix"]) == ("Deny", "*")
        for rule in rules:
            if rule["access"] == "Allow" and rule["direction"] == "Inbound":
                assert rule["sourceAddressPrefix"] not in ("*", "Internet", "0.0.0.0/0"), rule["name"]
            if rule["access"] == "Allow" and rule["destinationAddressPrefix"] == "Internet":
                assert rule["destinationPortRange"] in ("443", "123"), rule["name"]
    (network,) = of_type(environment, "Microsoft.Network/virtualNetworks")
    for subnet in network["properties"]["subnets"]:
        assert subnet["properties"]["defaultOutboundAccess"] is False
        assert subnet["properties"]["networkSecurityGroup"]


@everywhere
def test_evidence_cannot_be_changed_and_what_is_erased_is_gone(environment: str) -> None:
    accounts = {one["name"][:7]: one["properties"] for one in of_type(environment, "Microsoft.Storage/storageAccounts")}
    policy = accounts["evidenc"]["immutableStorageWithVersioning"]
    assert policy["enabled"] is True
    assert policy["immutabilityPolicy"]["state"] == ("Locked" if environment == "prod" else "Unlocked")
    assert policy["immutabilityPolicy"]["immutabilityPeriodSinceCreationInDays"] >= (
        2555 if environment == "prod" else 1
    )
    assert "immutableStorageWithVersioning" not in accounts["content"]
    blobs = {
        one["name"][:7]: one["properties"]
        for one in of_type(environment, "Microsoft.Storage/storageAccounts/blobServices")
    }
    assert blobs["evidenc"]["isVersioningEnabled"] is True
    assert blobs["content"]["isVersioningEnabled"] is False
    assert blobs["content"]["deleteRetentionPolicy"] == {"enabled": False}
    (key,) = of_type(environment, "Microsoft.KeyVault/vaults/keys")
    assert key["properties"]["keyOps"] == ["sign", "verify"]
    assert key["properties"]["attributes"]["exportable"] is False


@everywhere
def test_whatever_can_be_logged_is(environment: str) -> None:
    scopes = {
        one["id"].lower().partition("/providers/microsoft.insights/diagnosticsettings/")[0]
        for one in of_type(environment, "Microsoft.Insights/diagnosticSettings")
    }
    assert {one["type"] for one in snapshot(environment) if one["id"].lower() in scopes} == LOGGED
    assert [
        one["id"] for one in snapshot(environment) if one["type"] in LOGGED and one["id"].lower() not in scopes
    ] == []


@everywhere
def test_logs_take_nothing_that_quotes_people_or_says_where_they_were(environment: str) -> None:
    chosen = {
        category["category"]
        for one in of_type(environment, "Microsoft.Insights/diagnosticSettings")
        for category in one["properties"].get("logs", [])
        if "category" in category
    }
    assert chosen == {
        *("ControlPlaneRequests", "PartitionKeyRUConsumption", "PartitionKeyStatistics", "Audit"),
        *("FrontDoorWebApplicationFirewallLog", "FrontDoorHealthProbeLog"),
    }


@everywhere
def test_whatever_can_be_tagged_says_whose_it_is(environment: str) -> None:
    for resource in snapshot(environment):
        if resource["type"] in UNTAGGED:
            assert "tags" not in resource
        else:
            assert resource["tags"].keys() >= {"product", "environment", "stamp"}, resource["id"]


@everywhere
def test_nobody_opens_a_stamp_to_keys_or_takes_its_data_elsewhere(environment: str) -> None:
    assigned = of_type(environment, "Microsoft.Authorization/policyAssignments")
    effects = {one["name"]: one["properties"]["parameters"] for one in assigned}
    assert effects.pop("mandate-regions") == {"listOfAllowedLocations": {"value": ["westeurope", "swedencentral"]}}
    assert set(effects) == {"mandate-store-keys", "mandate-blob-keys", "mandate-model-keys"}
    assert all(given == {"effect": {"value": "Deny"}} for given in effects.values())
    for one in assigned:
        assert "/resourceGroups/" in one["id"], "not the whole subscription"
        assert one["properties"]["enforcementMode"] == "Default"
