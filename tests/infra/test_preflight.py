"""Before anything is created, a deployer hears what a subscription lacks, and what to do about it."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from resource_manager import ROOT as SCOPE
from resource_manager import Subscription, connection, resource_manager, usage

from core.errors import Forbidden
from mandate.infra.arm import Refused
from mandate.infra.building import parameter_file
from mandate.infra.edge import approve, asked
from mandate.infra.needs import Needs, read
from mandate.infra.preflight import preflight, run
from mandate.settings import ROOT

STAMP = "mandate-prod-weu"


@pytest.fixture(scope="session")
def needs(compiled: dict[str, dict[str, Any]]) -> Needs:
    name = str(parameter_file("prod").relative_to(ROOT))
    parameters = json.loads(compiled[name]["parameters"])
    return read(json.loads(compiled["infra/main.bicep"]["contents"]), parameters["parameters"])


async def said(subscription: Subscription, needs: Needs) -> list[str]:
    async with resource_manager(subscription) as arm:
        return [str(one) for one in await preflight(arm, needs)]


def test_what_is_needed_is_what_the_parameters_and_the_catalogue_say(needs: Needs) -> None:
    (stamp,) = needs.stamps
    assert (stamp.name, stamp.location, stamp.failover, stamp.zones) == (STAMP, "westeurope", "swedencentral", True)
    assert stamp.cores == 2 * 3 * 20
    assert {(one.location, one.name) for one in stamp.models} == {
        (place, name)
        for place in ("westeurope", "swedencentral")
        for name in ("gpt-5.1", "gpt-5.4-mini", "text-embedding-3-small")
    }
    assert {one.capacity for one in stamp.models} == {200}
    assert "Microsoft.App/containerApps" in needs.types


async def test_a_subscription_that_has_everything_is_told_so_and_nothing_is_created(
    needs: Needs, capsys: pytest.CaptureFixture[str]
) -> None:
    subscription = Subscription()
    async with resource_manager(subscription) as arm:
        assert await run(arm, needs, what_if=False) == 0
    assert capsys.readouterr().out == "The subscription takes it.\n"
    assert {method for method, path, _ in subscription.asked if not path.endswith("/validate")} == {"GET"}
    assert all(re.fullmatch(r"\d{4}-\d{2}-\d{2}", version) for _, _, version in subscription.asked)


LACKING: dict[str, tuple[dict[str, Any], str, str]] = {
    "disabled": ({"state": "Disabled"}, "The subscription is Disabled", "billing"),
    "provider": (
        {"providers": {**Subscription().providers, "Microsoft.App": "NotRegistered"}},
        "Microsoft.App is not registered",
        "az provider register --namespace Microsoft.App",
    ),
    "region": (
        {"places": {"Microsoft.App/managedEnvironments": ["North Europe", "Sweden Central"]}},
        "Microsoft.App/managedEnvironments is not offered in westeurope",
        "another region",
    ),
    "assigning": (
        {"permissions": [{"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"]}]},
        "Microsoft.Authorization/roleAssignments/write",
        "Role Based Access Control Administrator",
    ),
    "reading": (
        {"permissions": [{"actions": ["*/read"], "notActions": []}]},
        "Microsoft.Resources/deployments/write",
        "Contributor",
    ),
    "model": ({"models": []}, "gpt-5.1 2025-11-13 cannot be deployed as DataZoneStandard in westeurope", "models.yaml"),
    "tokens": (
        {"usages": [usage("OpenAI.DataZoneStandard.gpt-5.1", 300, 150)]},
        "of 300, 150 are used",
        "quota OpenAI.DataZoneStandard.gpt-5.1",
    ),
    "environments": (
        {"environments": [usage("ManagedEnvironmentCount", 15, 15)]},
        "1 of ManagedEnvironmentCount",
        "Quotas",
    ),
    "cosmos": (
        {"cosmos": {"status": "Online", "isSubscriptionRegionAccessAllowedForAz": False}},
        "may not use Cosmos DB in westeurope with zones",
        "support request",
    ),
    "zones": (
        {"cosmos": {"status": "Online", "supportsAvailabilityZone": False}},
        "Cosmos DB has no zones in westeurope",
        "`zoneRedundant`",
    ),
    "policy": (
        {
            "refusal": {
                "code": "InvalidTemplateDeployment",
                "message": "The template deployment failed because of policy violation.",
                "details": [
                    {
                        "code": "RequestDisallowedByPolicy",
                        "message": "Resource was disallowed by policy.",
                        "additionalInfo": [
                            {"type": "PolicyViolation", "info": {"policyAssignmentDisplayName": "Only the north"}}
                        ],
                    }
                ],
            }
        },
        "Only the north",
        "exemption",
    ),
    "template": (
        {"refusal": {"code": "InvalidTemplate", "message": "Line 3."}},
        "InvalidTemplate: Line 3.",
        "mandate infra lint",
    ),
}


@pytest.mark.parametrize("name", LACKING)
async def test_whatever_it_lacks_is_named_with_what_to_do(name: str, needs: Needs) -> None:
    lacking, what, do = LACKING[name]
    found = await said(Subscription(**lacking), needs)
    assert any(one.startswith("error:") and what in one and do in one for one in found), found


async def test_two_roles_that_together_allow_it_do(needs: Needs) -> None:
    contributor = {"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"]}
    assigning = {"actions": ["Microsoft.Authorization/roleAssignments/*"], "notActions": []}
    policies = {"actions": ["Microsoft.Authorization/policyassignments/*"], "notActions": []}
    assert await said(Subscription(permissions=[contributor, assigning, policies]), needs) == []


async def test_of_a_stamp_that_is_there_its_own_use_does_not_stop_the_next_release(needs: Needs) -> None:
    used = [usage(f"OpenAI.DataZoneStandard.{name}", 300, 200) for name in ("gpt-5.1", "gpt-5.4-mini")]
    used.append(usage("OpenAI.DataZoneStandard.text-embedding-3-small", 300, 200))
    found = await said(Subscription(usages=used, groups={STAMP}), needs)
    assert found
    assert all(one.startswith("warning:") for one in found)
    assert any(f"{needs.stamps[0].cores} of ManagedEnvironmentConsumptionCores" in one for one in found)


async def test_the_dry_run_says_of_each_resource_what_would_change_worst_first(
    needs: Needs, capsys: pytest.CaptureFixture[str]
) -> None:
    said = [("Create", "/a"), ("NoChange", "/b"), ("Delete", "/c"), ("Modify", "/d")]
    subscription = Subscription(changes=[{"changeType": kind, "resourceId": place} for kind, place in said])
    async with resource_manager(subscription) as arm:
        assert await run(arm, needs, what_if=True) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split() for line in lines] == [
        ["Delete", "/c"],
        ["Modify", "/d"],
        ["Create", "/a"],
        ["NoChange", "/b"],
    ]
    assert subscription.sent[-1]["properties"]["template"] == needs.template
    assert "deployments/mandate/whatIf" in "".join(path for _, path, _ in subscription.asked)


async def test_a_dry_run_that_azure_refuses_says_why() -> None:
    async with resource_manager(Subscription(refusal={"code": "X", "message": "Not so."})) as arm:
        with pytest.raises(Refused, match="Not so"):
            await arm.post(f"{SCOPE}/providers/Microsoft.Resources/deployments/mandate/validate", "2024-11-01", {})


async def test_whoever_is_not_signed_in_is_told_to(needs: Needs) -> None:
    async with resource_manager(Subscription(), token="of somebody else") as arm:
        with pytest.raises(Forbidden, match="does not let you"):
            await preflight(arm, needs)


async def test_only_front_door_is_let_in_and_only_once(capsys: pytest.CaptureFixture[str]) -> None:
    pending = connection(STAMP, "one", asked(STAMP), "Pending")
    strange = connection(STAMP, "two", "let me in", "Pending")
    subscription = Subscription(connections={"one": pending, "two": strange})
    async with resource_manager(subscription) as arm:
        assert await approve(arm, STAMP, listing=True) == 0
        assert pending["properties"]["privateLinkServiceConnectionState"]["status"] == "Pending"
        assert await approve(arm, STAMP, listing=False) == 0
        assert await approve(arm, STAMP, listing=False) == 0
    assert pending["properties"]["privateLinkServiceConnectionState"]["status"] == "Approved"
    assert strange["properties"]["privateLinkServiceConnectionState"]["status"] == "Pending"
    assert [method for method, _, _ in subscription.asked].count("PUT") == 1
    assert "left alone" in capsys.readouterr().out


async def test_a_stamp_without_front_door_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    async with resource_manager(Subscription()) as arm:
        assert await approve(arm, STAMP, listing=False) == 1
    assert "Front Door has not asked" in capsys.readouterr().out


def test_front_door_asks_in_the_words_by_which_it_is_known(variant: Callable[..., list[dict[str, Any]]]) -> None:
    found = variant(edge="frontdoor", name=STAMP)
    (origin,) = (one for one in found if one["type"] == "Microsoft.Cdn/profiles/originGroups/origins")
    assert origin["properties"]["sharedPrivateLinkResource"]["requestMessage"] == asked(STAMP)
