"""`mandate configure`: run the job `configuration` of a stamp, which alone can write into its store, to its end.

What a job is started with takes the place of its whole container, so that is read first and given back with the
arguments. `az containerapp job start` leaves `--args` out unless `--image` is given, and then starts it without any
setting; nor does it wait.
"""

import asyncio
from collections.abc import Sequence
from typing import cast

from core.errors import Timeout as TimedOut
from core.errors import Unavailable
from mandate.infra.arm import LONGEST, Arm
from mandate.infra.documents import Json, Object, entries, fields, text

_VERSION = "2025-01-01"
_KEPT = ("name", "image", "command", "env")
_UNDER_WAY = ("", "Running", "Processing", "Unknown")


async def configure(arm: Arm, stamp: str, arguments: Sequence[str]) -> int:
    """Run the job, and print how it ended; what it printed itself is in the stamp's logs.

    Args:
        arm: of the subscription.
        stamp: its name, also of its resource group.
        arguments: of `mandate env load`; none: the job loads all values.

    Returns:
        1 if it did not succeed.

    Raises:
        MandateError: as Azure answers.
    """
    job = f"{arm.subscription}/resourceGroups/{stamp}/providers/Microsoft.App/jobs/configuration"
    deployed = await arm.get(job, _VERSION)
    started = await arm.post(f"{job}/start", _VERSION, _template(deployed, arguments))
    if not (name := text(started, "name")):
        raise Unavailable("Azure does not say what it started. Run it again.", code="arm.unavailable")
    state = await _ended(arm, f"{job}/executions/{name}")
    print(f"{stamp}: {name} {state}")
    return 0 if state == "Succeeded" else 1


async def _ended(arm: Arm, execution: str) -> str:
    """Return how an execution ended."""
    loop = asyncio.get_running_loop()
    end = loop.time() + LONGEST
    while loop.time() < end:
        state = text(await arm.get(execution, _VERSION), "properties", "status")
        if state not in _UNDER_WAY:
            return state
        await asyncio.sleep(arm.pause)
    raise TimedOut("The job did not end in time. Look at it in the portal.", code="arm.timeout")


def _template(deployed: Object, arguments: Sequence[str]) -> Object:
    (one,) = entries(deployed, "properties", "template", "containers")
    container = {name: value for name, value in cast("Object", one).items() if name in _KEPT}
    resources = {name: value for name, value in fields(one, "resources").items() if name in ("cpu", "memory")}
    given: list[Json] = [*arguments]
    return {"containers": [{**container, "resources": resources, "args": given}]}
