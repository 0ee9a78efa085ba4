"""`mandate edge approve`: Front Door's way in to a stamp, which a template can ask for and only a person can allow."""

from mandate.infra.arm import Arm
from mandate.infra.documents import Json, text

_VERSION = "2025-01-01"


def asked(stamp: str) -> str:
    """Return what the template says when it asks: infra/modules/frontdoor.bicep."""
    return f"The edge of {stamp}"


async def approve(arm: Arm, stamp: str, *, listing: bool) -> int:
    """Allow what Front Door asked for, and nothing that anybody else did; print each connection.

    Args:
        arm: of the subscription.
        stamp: its name, also of its resource group.
        listing: only print them.

    Returns:
        1 if there is none of Front Door: not deployed yet, or its edge is inside the network.

    Raises:
        MandateError: as Azure answers.
    """
    environment = f"{arm.subscription}/resourceGroups/{stamp}/providers/Microsoft.App/managedEnvironments/{stamp}"
    found = await arm.all(f"{environment}/privateEndpointConnections", _VERSION)
    ours = 0
    for one in found:
        mine = _said(one, "description") == asked(stamp)
        ours += mine
        waits = _said(one, "status") == "Pending"
        state = _said(one, "status")
        if mine and waits and not listing:
            body: dict[str, Json] = {
                "properties": {"privateLinkServiceConnectionState": {"status": "Approved", "description": asked(stamp)}}
            }
            await arm.put(text(one, "id"), _VERSION, body)
            state = "Approved now"
        print(f"{state:<13} {text(one, 'name')}{'' if mine else '  (not asked for by Front Door; left alone)'}")
    if not ours:
        print("Front Door has not asked. Deploy the stamp with edge 'frontdoor', and wait a minute or two.")
    return 0 if ours else 1


def _said(connection: Json, name: str) -> str:
    return text(connection, "properties", "privateLinkServiceConnectionState", name)
