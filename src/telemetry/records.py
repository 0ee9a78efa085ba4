"""Log lines: one JSON object each, or one readable line on a terminal. Never what anybody said.

A line of ours holds a constant sentence and attributes that passed the seam. A library's sentence may quote what went
through it, so only its place in the library's source is kept. Exceptions are told by type, code and the places in
the source, and by their message only if we wrote it.
"""

import logging
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypedDict, Unpack

import orjson

from core import TenantContext, timestamp
from core.errors import MandateError
from telemetry.attributes import Attributes, Value, passed
from telemetry.setup import current
from telemetry.tracing import active_context, error_type

_OURS = logging.getLogger("mandate")
_QUOTED_LIBRARIES = frozenset({"uvicorn.error"})
"""Libraries whose sentences quote addresses of ours and nothing else."""

_ACCESS = "uvicorn.access"
_COLOURS = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[31m"}


class _Extra(TypedDict):
    mandate: Mapping[str, Value]


def log(
    level: int,
    event: str,
    *,
    context: TenantContext | None = None,
    tenant: str = "",
    error: BaseException | None = None,
    **attributes: Unpack[Attributes],
) -> None:
    """Write one line.

    Args:
        level: of the module `logging`.
        event: a constant sentence; what varies goes into `attributes`.
        context: whose work it was; by default that of the active span.
        tenant: where there is no context at hand.
        error: what went wrong.
        **attributes: see `Attributes`.

    Raises:
        Defect: an attribute that may not leave, where telemetry is strict.
    """
    if not _OURS.isEnabledFor(level):
        return
    context = context or active_context()
    fields: dict[str, Value] = {"tenant": context.tenant if context else tenant}
    if context is not None:
        fields["correlation"] = context.correlation
    extra: _Extra = {"mandate": fields | passed(attributes, strict=current.strict)}
    cause = None if error is None else (type(error), error, error.__traceback__)
    _OURS.log(level, event, exc_info=cause, extra=extra, stacklevel=2)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, at, tenant, correlation, code, attributes, error."""

    def format(self, record: logging.LogRecord) -> str:
        return orjson.dumps(_line(record), option=orjson.OPT_NON_STR_KEYS).decode()


class PrettyFormatter(logging.Formatter):
    """The same for a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        line = _line(record)
        told = _told(record)
        colour = _COLOURS.get(record.levelno, "")
        known = ("time", "level", "logger", "message", "at", "error")
        rest = " ".join(f"{name}={value}" for name, value in line.items() if name not in known and value != "")
        clock = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        text = f"{clock} {colour}{record.levelname.lower():7}\x1b[0m {line['message']} \x1b[2m{rest}\x1b[0m"
        return text if told is None else "\n".join((text, *_pretty_error(told)))


def configure_logging(*, level: int = logging.INFO, pretty: bool = False) -> None:
    """Send every log line of the process, libraries' warnings included, to standard error through this module."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrettyFormatter() if pretty else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _OURS.setLevel(level)
    logging.captureWarnings(capture=True)


def uvicorn_log_config(*, level: int = logging.INFO) -> dict[str, object]:
    """Return `log_config` for uvicorn: its lines go where ours go, and access lines hold no query string."""
    own: dict[str, object] = {"handlers": [], "propagate": True, "level": level}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "loggers": dict.fromkeys(("uvicorn", "uvicorn.error", _ACCESS), own),
    }


class _Error(TypedDict):
    type: str
    code: str
    message: str
    frames: list[str]


def _line(record: logging.LogRecord) -> dict[str, object]:
    fields: Mapping[str, Value] | None = getattr(record, "mandate", None)
    line: dict[str, object] = {
        "time": timestamp(datetime.fromtimestamp(record.created, UTC)),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.msg if fields is not None else _foreign(record),
        "at": f"{record.module}:{record.lineno}",
    }
    line |= _access(record) if record.name == _ACCESS else fields or {}
    if told := _told(record):
        line |= {"code": told["code"], "error": told}
    return line


def _foreign(record: logging.LogRecord) -> str:
    if record.name in _QUOTED_LIBRARIES:
        return record.getMessage()
    return "request" if record.name == _ACCESS else "A library's message, left out because it may quote content"


def _access(record: logging.LogRecord) -> dict[str, object]:
    """Return method, path and status of a uvicorn access line; not the address of who asked."""
    match record.args:
        case (_, str(method), str(target), _, int(status)):
            return {"method": method, "path": target.partition("?")[0][:200], "status": status}
        case _:
            return {}


def _told(record: logging.LogRecord) -> _Error | None:
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return None
    frames = traceback.extract_tb(error.__traceback__, limit=-20)
    return {
        "type": type(error).__qualname__,
        "code": error_type(error),
        "message": error.message if isinstance(error, MandateError) else "",
        "frames": [f"{_module(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames],
    }


def _module(path: str) -> str:
    return "/".join(path.replace("\\", "/").split("/")[-2:])


def _pretty_error(told: _Error) -> list[str]:
    return [
        f"        {told['type']} {told['code']} {told['message']}",
        *(f"          at {place}" for place in told["frames"]),
    ]
