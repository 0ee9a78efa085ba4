"""What operations and billing count of a run: read off its events as they become durable, never counted twice."""

from core import ActionKind, TenantContext, parse_timestamp
from core.bodies import (
    ApprovalRequested,
    ApprovalResolved,
    DecisionMade,
    ModelFinished,
    PassagesRetrieved,
    RunEnded,
    ToolFinished,
)
from core.events import Stored
from orchestration.state import Progress
from telemetry import meter_approval, meter_decision, meter_model, meter_run, meter_tool


def meter(context: TenantContext, progress: Progress, stored: Stored) -> None:
    """Count one event."""
    body = stored.event.body
    match body:
        case DecisionMade():
            meter_decision(context, kind=body.kind, decision=body.decision)
        case ApprovalRequested():
            meter_approval(context, outcome="asked")
        case ApprovalResolved():
            meter_approval(context, outcome=body.verdict)
        case ModelFinished():
            meter_model(
                context,
                operation="chat",
                model=body.logical,
                outcome=body.outcome,
                usage=body.usage,
                seconds=body.duration_ms / 1000,
            )
        case PassagesRetrieved():
            meter_model(
                context,
                operation="embeddings",
                model=ActionKind.RETRIEVE.value,
                outcome="answered",
                usage=body.usage,
                seconds=body.duration_ms / 1000,
            )
        case ToolFinished():
            meter_tool(
                context,
                tool=body.tool,
                effect=body.effect,
                outcome=body.outcome,
                seconds=body.duration_ms / 1000,
            )
        case RunEnded():
            began = progress.opened_at or parse_timestamp(stored.event.at)
            seconds = (parse_timestamp(stored.event.at) - began).total_seconds()
            meter_run(context, kind=progress.run.kind, state=body.state, seconds=seconds)
        case _:
            pass
