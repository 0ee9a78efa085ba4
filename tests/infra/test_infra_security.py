"""What would be deployed lets in whom it should: asserted as values, since the compiler takes any text for most."""

import re
from collections.abc import Callable
from datetime import date
from typing import Any, cast

import pytest
import yaml
from infra_files import of_type, snapshot, strings

from mandate.infra.building import DEPLOYED
from mandate.infra.documents import Object, templates
from mandate.infra.findings import MOST_DAYS
from mandate.services import Services
from mandate.settings import ROOT

PINNED = date(2026, 11, 23)
"""The day from which the age of API versions counts here: a template that nobody touched fails on no later one."""

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
    "Microsoft.OperationalInsights/workspaces": {"features": {"disableLocalAuth": True}},
    "Microsoft.Insights/components": {"DisableLocalAuth": True},
}

LOGGED = {
    "Microsoft.App/containerApps",
    "Microsoft.App/managedEnvironments",
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
    *("Microsoft.Insights/diagnosticSettings", "Microsoft.Cdn/profiles/afdEndpoints/routes"),
    *("Microsoft.Cdn/profiles/originGroups", "Microsoft.Cdn/profiles/originGroups/origins"),
    *("Microsoft.Cdn/profiles/securityPolicies", "Microsoft.CognitiveServices/accounts/raiPolicies"),
    *("Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments", "Microsoft.Storage/storageAccounts/blobServices"),
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups",
    "Microsoft.Storage/storageAccounts/blobServices/containers",
}
"""Every type here that takes no tags."""

ROLES = {
    "store.readwrite": {
        ("Microsoft.DocumentDB", "00000000-0000-0000-0000-000000000002"),
        ("/containers/content", "ba92f5b4-2d11-453d-a403-e96b0029c9fe"),
    },
    "models.user": {("Microsoft.CognitiveServices/accounts/", "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd")},
    "evidence.sign": {("/keys/evidence", "12338af0-0e69-4776-bea7-57ae8d297424")},
    "evidence.anchor": {("/containers/anchors", "ba92f5b4-2d11-453d-a403-e96b0029c9fe")},
    "telemetry.send": {("Microsoft.Insights/components/", "3913510d-42f4-4e42-8a64-420c390055eb")},
    "backoffice.call": set[tuple[str, str]](),  # a role of the back office's app registration
}
"""What each role of services.yaml is in Azure: an end, or a part, of the scope, and a built-in role."""

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
    having = {one["type"] for one in snapshot(environment) if any(name in one["properties"] for name in switches)}
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
    for kind in (*behind, "Microsoft.CognitiveServices/accounts"):
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


def granted(environment: str, identity: str) -> list[tuple[str, str]]:
    """Return scope and role of all that an identity is given."""
    found: list[tuple[str, str]] = []
    for one in (
        *of_type(environment, "Microsoft.Authorization/roleAssignments"),
        *of_type(environment, "Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments"),
    ):
        if f"userAssignedIdentities/mandate-{environment}-weu-{identity}'" in one["properties"]["principalId"]:
            scope = re.split("/providers/Microsoft.Authorization/roleAssignments|/sqlRoleAssignments", one["id"])[0]
            found.append((scope, one["properties"]["roleDefinitionId"].rpartition("/")[2]))
    return found


@everywhere
def test_every_identity_may_exactly_what_its_roles_say(environment: str) -> None:
    services = Services.load(ROOT / "environments")
    for service in services.services.values():
        wanted = [grant for role in service.roles for grant in ROLES[role]]
        given = granted(environment, service.identity)
        for part, role in wanted:
            assert any(part in scope and role == name for scope, name in given), (service.identity, part)
        for scope, name in given:
            assert any(part in scope and role == name for part, role in wanted), (service.identity, scope)
    for other in services.identities:
        assert granted(environment, other) == []
    total = of_type(environment, "Microsoft.Authorization/roleAssignments") + of_type(
        environment, "Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments"
    )
    assert sum(len(granted(environment, name)) for name in services.identity_names()) == len(total)


@everywhere
def test_roles_are_given_to_known_ids_and_on_the_thing_itself(environment: str) -> None:
    for one in of_type(environment, "Microsoft.Authorization/roleAssignments"):
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", one["name"].rpartition("/")[2]), one["name"]
        assert one["properties"]["principalType"] == "ServicePrincipal"
        scope = one["id"].partition("/providers/Microsoft.Authorization/")[0]
        assert "/providers/" in scope, "on a whole resource group"
    for one in of_type(environment, "Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments"):
        assert one["properties"]["scope"].endswith("/dbs/mandate")


@everywhere
def test_models_process_in_the_data_zone_at_pinned_versions_behind_filters(environment: str) -> None:
    found = of_type(environment, "Microsoft.CognitiveServices/accounts/deployments")
    catalogue = yaml.safe_load((ROOT / "environments" / environment / "models.yaml").read_text())["models"]
    for role, setting in (("primary", "MODEL_ENDPOINT_PRIMARY"), ("failover", "MODEL_ENDPOINT_FAILOVER")):
        deployed = {
            (one["name"].rpartition("/")[2], one["properties"]["model"]["version"])
            for one in found
            if f"-{role}-" in one["id"]
        }
        wanted = {
            (target["model"], target["version"])
            for model in catalogue.values()
            for target in model["targets"]
            if setting in target["endpoint"]
        }
        assert deployed == wanted
    for one in found:
        assert not one["sku"]["name"].startswith("Global")
        assert one["properties"]["versionUpgradeOption"] == "NoAutoUpgrade"
        assert one["properties"]["raiPolicyName"] == "mandate"
    for policy in of_type(environment, "Microsoft.CognitiveServices/accounts/raiPolicies"):
        assert all(one["enabled"] and one["blocking"] for one in policy["properties"]["contentFilters"])


@everywhere
def test_names_fit_where_they_are_used(environment: str) -> None:
    limits = {
        "Microsoft.Storage/storageAccounts": r"[a-z0-9]{3,24}",
        "Microsoft.KeyVault/vaults": r"[a-zA-Z][a-zA-Z0-9-]{1,22}[a-zA-Z0-9]",
        "Microsoft.DocumentDB/databaseAccounts": r"[a-z0-9][a-z0-9-]{1,42}[a-z0-9]",
        "Microsoft.App/containerApps": r"[a-z][a-z0-9-]{0,30}[a-z0-9]",
        "Microsoft.CognitiveServices/accounts": r"[a-zA-Z0-9][a-zA-Z0-9-]{1,63}",
        "Microsoft.Network/FrontDoorWebApplicationFirewallPolicies": r"[a-zA-Z][a-zA-Z0-9]{0,127}",
    }
    for kind, pattern in limits.items():
        for one in of_type(environment, kind):
            assert re.fullmatch(pattern, one["name"]), one["name"]


def test_apis_are_neither_previews_nor_old(template: Callable[[str], dict[str, Any]]) -> None:
    accepted: dict[str, str] = yaml.safe_load((ROOT / "infra/accepted-api-versions.yaml").read_text())
    used = {
        (str(resource["type"]), str(resource["apiVersion"]))
        for name in ("stamp", "main", "registry")
        for inner in templates(cast("Object", template(name)))
        for resource in inner.resources
    }
    odd = {
        f"{kind}@{version}"
        for kind, version in used
        if len(version) > 10 or (PINNED - date.fromisoformat(version)).days > MOST_DAYS
    }
    assert odd == set(accepted), "accepted-api-versions.yaml names exactly what needs it"
    assert all(accepted.values())


def test_no_deployment_has_a_name_that_azure_would_refuse(template: Callable[[str], dict[str, Any]]) -> None:
    longest = {
        "format('models-{0}'": 15,
        "format('endpoint-{0}'": 24,
        "format('service-{0}'": 21,
        "format('stamp-{0}'": 26,
        "format('budget-{0}'": 27,
    }
    for name in ("stamp", "main"):
        for inner in templates(cast("Object", template(name))):
            for resource in inner.resources:
                if resource["type"] == "Microsoft.Resources/deployments":
                    text = str(resource["name"])
                    known = next((length for start, length in longest.items() if start in text), None)
                    assert (known or len(text)) <= 64, text
                    assert known or not text.startswith("["), text


@everywhere
def test_outputs_and_settings_hold_no_secret(environment: str, template: Callable[[str], dict[str, Any]]) -> None:
    for name in ("stamp", "main", "registry"):
        assert not [
            one for one in strings(template(name)) if re.search(r"(?<!\w)list\w+\(", one) and one.startswith("[")
        ]
    for app in of_type(environment, "Microsoft.App/containerApps"):
        assert "secrets" not in app["properties"]["configuration"]
        for setting in app["properties"]["template"]["containers"][0]["env"]:
            assert not re.search("KEY$|SECRET|PASSWORD|TOKEN$", setting["name"].replace("MANDATE_EVIDENCE_KEY", "")), (
                setting
            )


def test_a_key_vault_key_is_named_by_its_version() -> None:
    app = next(one for one in of_type("prod", "Microsoft.App/containerApps") if one["name"] == "orchestration")
    (key,) = (
        one["value"]
        for one in app["properties"]["template"]["containers"][0]["env"]
        if one["name"] == "MANDATE_EVIDENCE_KEY"
    )
    assert "keyUriWithVersion" in key
