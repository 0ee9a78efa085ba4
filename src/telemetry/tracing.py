"""Spans. Each has the tenant or fails; exceptions are known by type or code, never by what they say."""

from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, Unpack

from core import TenantContext
from core.errors import Defect, MandateError
from telemetry.attributes import Attributes, passed, passed_name
from telemetry.setup import current

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span as OtelSpan

SpanKind = Literal["internal", "client", "server"]
TRACEPARENT = "traceparent"

_active: "ContextVar[Span | None]" = ContextVar("mandate_span", default=None)


class Span:
    """A stretch of work for one tenant; `with` it, in any task. Costs about a microsecond when nothing is exported.

    Attributes:
        context: whose work it is.
        otel: OpenTelemetry's span, where spans are exported.
    """

    __slots__ = ("_attributes", "_kind", "_name", "_parent", "_token", "context", "otel")

    def __init__(
        self, name: str, context: TenantContext, kind: SpanKind, parent: str | None, attributes: Mapping[str, object]
    ) -> None:
        if not context.tenant:
            raise Defect("A span has no tenant.", code="defect.telemetry")
        self.context = context
        self._name = name
        self._kind: SpanKind = kind
        self._parent = parent
        self._attributes = attributes
        self.otel: OtelSpan | None = None
        self._token: Token[Span | None] | None = None

    def set(self, **attributes: Unpack[Attributes]) -> None:
        """Add attributes that became known on the way."""
        self._set(attributes)

    def fail(self, error: BaseException) -> None:
        """Mark the span as failed by `error`, which was dealt with."""
        self._failed(error_type(error))

    def __enter__(self) -> Self:
        if current.exporting is not None:
            self.otel = self._start(_active.get())
        self._set(self._attributes)
        self._token = _active.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()
        if error is not None and not isinstance(error, GeneratorExit):
            self._failed(error_type(error))
        if self.otel is not None:
            self.otel.end()

    def _leave(self) -> None:
        """Make the outer span the active one. A generator may be closed by another task than it was begun by."""
        assert self._token is not None
        try:
            _active.reset(self._token)
        except ValueError:
            return

    def _start(self, outer: "Span | None") -> "OtelSpan":
        from opentelemetry import trace

        assert current.exporting is not None
        tracer = current.exporting.traces.get_tracer("mandate")
        span = tracer.start_span(
            passed_name(self._name, strict=current.strict),
            context=_otel_context(self._parent, outer),
            kind=trace.SpanKind[self._kind.upper()],
            record_exception=False,
            set_status_on_exception=False,
        )
        span.set_attribute("mandate.tenant", self.context.tenant)
        span.set_attribute("mandate.environment", current.environment)
        span.set_attribute("mandate.correlation", self.context.correlation)
        return span

    def _set(self, attributes: Mapping[str, object]) -> None:
        if self.otel is not None or current.strict:
            clean = passed(attributes, strict=current.strict)
            if self.otel is not None:
                self.otel.set_attributes(clean)

    def _failed(self, cause: str) -> None:
        if self.otel is not None:
            from opentelemetry.trace import StatusCode

            self.otel.set_status(StatusCode.ERROR)
            self.otel.set_attribute("error.type", cause)


def span(
    name: str,
    context: TenantContext,
    *,
    span_kind: SpanKind = "internal",
    parent: str | None = None,
    **attributes: Unpack[Attributes],
) -> Span:
    """Return a span to be entered with `with`; it is a child of the one that is active, or of `parent`.

    Args:
        name: fixed words, such as `chat gpt-5` or `POST /v1/runs/{run}`: names are indexed, so no ids.
        context: whose work it is.
        span_kind: `client` for a call to another process, `server` for serving one.
        parent: what `extract` read from a peer's request.
        **attributes: see `Attributes`.

    Raises:
        Defect: no tenant; or, where telemetry is strict, an attribute that may not leave.
    """
    return Span(name, context, span_kind, parent, attributes)


def active_context() -> TenantContext | None:
    """Return whose work is being done in this task, as far as a span says."""
    active = _active.get()
    return active.context if active is not None else None


def inject(headers: MutableMapping[str, str]) -> None:
    """Add the W3C `traceparent` of the active span to the headers of a request to a peer."""
    active = _active.get()
    if active is None or active.otel is None:
        return
    place = active.otel.get_span_context()
    headers[TRACEPARENT] = f"00-{place.trace_id:032x}-{place.span_id:016x}-{place.trace_flags:02x}"


def extract(headers: Mapping[str, str]) -> str | None:
    """Return the `traceparent` of a peer's request for `span(parent=...)`; only from peers that were verified.

    `tracestate` is left behind: it is free text.
    """
    return headers.get(TRACEPARENT)


def error_type(error: BaseException) -> str:
    """Return the stable code of one of our errors, the class name of any other."""
    return error.code if isinstance(error, MandateError) else type(error).__qualname__


def _otel_context(parent: str | None, outer: Span | None) -> "Context":
    from opentelemetry.context import Context
    from opentelemetry.trace import set_span_in_context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    if parent is not None:
        return TraceContextTextMapPropagator().extract({TRACEPARENT: parent}, Context())
    if outer is not None and outer.otel is not None:
        return set_span_in_context(outer.otel, Context())
    return Context()
