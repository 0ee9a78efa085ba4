"""Each identity may exactly what its roles say, and models are exactly those of the catalogue."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from infra_files import of_type

from mandate.infra.building import DEPLOYED
from mandate.services import Services
from mandate.settings import ROOT

ROLES = {
    "store.readwrite": {
        ("Microsoft.DocumentDB", "00000000-0000-0000-0000-000000000002"),
        ("/containers/content", "ba92f5b4-2d11-453d-a403-e96b0029c9fe"),
    },
    "models.user": {("Microsoft.CognitiveServices/accounts/", "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd")},
    "guards.user": {("-primary-", "a97b65f3-24c7-4388-baec-2e87135dc908")},
    "evidence.sign": {("/keys/evidence", "12338af0-0e69-4776-bea7-57ae8d297424")},
    "evidence.anchor": {("/containers/anchors", "ba92f5b4-2d11-453d-a403-e96b0029c9fe")},
    "erasures.note": {("/containers/erasures", "ba92f5b4-2d11-453d-a403-e96b0029c9fe")},
    "telemetry.send": {("Microsoft.Insights/components/", "3913510d-42f4-4e42-8a64-420c390055eb")},
    "configuration.read": {("/configurationStores/", "516239f1-63e1-4d78-a4de-a74fb236a071")},
    "configuration.write": {("/configurationStores/", "5ae67dd6-50cb-40e7-96ff-dc2bfa4b606b")},
    "backoffice.call": set[tuple[str, str]](),  # a role of the back office's app registration
    "secrets.read": set[tuple[str, str]](),  # only where managed applications are sold: see below
}
"""What each role of services.yaml is in Azure: an end, or a part, of the scope, and a built-in role."""

everywhere = pytest.mark.parametrize("environment", DEPLOYED)


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
    for service in (*services.services.values(), *services.jobs.values()):
        wanted = [grant for role in service.roles for grant in ROLES[role]]
        given = granted(environment, service.identity)
        for part, role in wanted:
            assert any(part in scope and role == name for scope, name in given), (service.identity, part)
        for scope, name in given:
            assert any(part in scope and role == name for part, role in wanted), (service.identity, scope)
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


def test_where_managed_applications_are_sold_one_service_may_read_the_secret_and_is_given_it(
    variant: Callable[..., list[dict[str, Any]]],
) -> None:
    found = variant(marketplaceClientId="m", marketplaceTenant="t", sellsApplications=True)
    readers = [
        one["properties"]["principalId"]
        for one in found
        if one["type"] == "Microsoft.Authorization/roleAssignments"
        and one["properties"]["roleDefinitionId"].endswith("4633458b-17de-408a-b874-0445c86b69e6")
    ]
    assert len(readers) == 1
    assert "-control'" in readers[0]
    for app in (one for one in found if one["type"] == "Microsoft.App/containerApps"):
        (container,) = app["properties"]["template"]["containers"]
        given = {one["name"]: one for one in container["env"]}
        secrets = app["properties"]["configuration"]["secrets"]
        if app["name"] != "control":
            assert secrets == []
            assert "MANDATE_ARM_URL" not in given
            continue
        (secret,) = secrets
        assert set(secret) == {"name", "keyVaultUrl", "identity"}
        assert re.search("applications.*secrets/.*vaultUri", secret["keyVaultUrl"])
        assert secret["identity"].endswith("-control")
        assert given["MANDATE_APPLICATIONS_SECRET"] == {
            "name": "MANDATE_APPLICATIONS_SECRET",
            "secretRef": secret["name"],
        }
        assert "MANDATE_HEARTBEAT_URL" not in given
