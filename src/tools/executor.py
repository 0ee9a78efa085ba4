"""Running a tool: one permit, one bound in time, one of three named outcomes."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias, cast

from core import PRISTINE, Clock, Effect, Json, Label, Permit, canonical
from core.errors import Defect, MandateError
from telemetry import log
from tools.arguments import Arguments
from tools.caller import Caller
from tools.contract import Refusal, Result, Tool, ToolCall
from tools.egress import Egress, EgressClient
from tools.registry import Registry

MAX_RESULT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Ok:
    """The tool did it. `result` is canonical JSON, and content."""

    result: bytes
    label: Label


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing was done. `message` is for the model, and content: it may be the other side's words."""

    code: str
    message: str
    label: Label


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have been done: a person has to look. Never run it again."""

    code: str


ToolOutcome: TypeAlias = Ok | Failed | Unknown


class Executor:
    """Runs the tools of a registry. Holds no state between calls."""

    def __init__(self, registry: Registry, egress: Egress, clock: Clock) -> None:
        self._registry = registry
        self._egress = egress
        self._clock = clock

    async def execute(
        self, permit: Permit, tool: Tool, arguments: Arguments, caller: Caller, *, read: Label | None = None
    ) -> ToolOutcome:
        """Spend `permit`, run the tool and say how it ended.

        Args:
            permit: for exactly this tool with these arguments in this run of this tenant.
            tool: of this registry.
            arguments: from `tool.parse`.
            caller: for whom.
            read: the join of the arguments' labels, which a receipt may repeat; untrusted if not given.

        Raises:
            Defect: the permit is not for this, or the tool is not registered; nothing was done.
        """
        if (permit.tenant, permit.run) != (caller.tenant, caller.run) or self._registry.get(tool.name) is not tool:
            raise Defect("A permit was presented for another run or tool.", code="defect.permit_mismatch")
        run = tool.permitted(permit, arguments)
        seconds = min(tool.timeout, (caller.deadline - self._clock.now()) / timedelta(seconds=1))
        client = self._egress.client(caller)
        if seconds <= 0:
            return _unfinished(tool, client, "timeout.deadline", "The run's time was up before the tool was called.")
        try:
            async with asyncio.timeout(seconds):
                result = await run(ToolCall(caller, client))
            return _finished(result, tool.result_label(read or Label()))
        except TimeoutError:
            return _unfinished(tool, client, "timeout.tool", "The tool did not answer in time.")
        except MandateError as error:
            return _unfinished(tool, client, error.code, error.message)
        except Exception as error:  # noqa: BLE001 - a bug in a tool must not decide that nothing was done
            log(
                logging.ERROR,
                "A tool broke off by a fault of its own",
                error=error,
                tenant=caller.tenant,
                tool=tool.name,
            )
            return _unfinished(tool, client, "defect.tool", "The tool is broken.")


def _finished(result: Result, label: Label) -> Ok | Failed:
    if isinstance(result, Refusal):
        return Failed(result.code, result.detail, label)
    data = canonical(cast("Json", result.model_dump(mode="json")))
    if len(data) > MAX_RESULT_BYTES:
        raise Defect("The tool returned more than it may.", code="tool.result_size")
    return Ok(data, label)


def _unfinished(tool: Tool, client: EgressClient, code: str, message: str) -> Failed | Unknown:
    """Say that nothing was done only where that is certain."""
    if tool.effect is Effect.READ or not client.maybe_sent:
        return Failed(code, message, PRISTINE)
    return Unknown(code)
