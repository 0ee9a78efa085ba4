"""What a tool returned, in words."""

from collections.abc import Sequence

from emulators.model_endpoint.conversation import JsonObject, ToolCall, as_list, as_object, as_text, parse_json
from emulators.model_endpoint.words import name_words, word_set

_REFUSED = word_set("refused denied forbidden rejected never")
_FAILED = ("fail", "error", "timeout", "timed_out", "unknown")
_MOST_ITEMS = 8
_LONGEST = 600


def describe(results: Sequence[tuple[ToolCall, str]]) -> str:
    """Return a sentence or two for each result of this turn."""
    return " ".join(_describe(call, text) for call, text in results)


def went_wrong(text: str) -> bool:
    """Return whether a result says that its action was refused, is waiting or failed."""
    return _trouble(parse_json(text)) is not None


def _describe(call: ToolCall, text: str) -> str:
    title = _title(call.name)
    value = parse_json(text)
    trouble = _trouble(value)
    if trouble is not None:
        return f"{title}: {trouble}"
    if value is None or isinstance(value, str):
        return f"{title}: {_sentence(as_text(value) or text)}"
    if value in ({}, []):
        return f"{title}: there was nothing to report."
    return f"{title}: {_sentence(_words(value))}"


def _trouble(value: object) -> str | None:
    members = as_object(value)
    if members is None:
        return None
    status = as_text(members.get("status")).lower()
    why = _why(members)
    if members.get("refused") or status in _REFUSED:
        return f"this was refused and has not been done.{why}"
    if status.startswith("await") or "approval" in status:
        return f"this has not been done yet: it awaits approval.{why}"
    if members.get("error") or status.startswith(_FAILED):
        return f"this did not work.{why}"
    return None


def _why(members: JsonObject) -> str:
    for key in ("refused", "detail", "message", "reason", "error"):
        value = members.get(key)
        nested = as_object(value)
        text = as_text(value) or (as_text(nested.get("message")) if nested else "")
        if text:
            return f" {_sentence(text)}"
    return ""


def _words(value: object) -> str:
    members = as_object(value)
    if members is not None:
        return "; ".join(f"{_label(key)} {_value(key, item, members)}" for key, item in members.items())
    return "; ".join(_nested(item) for item in as_list(value)[:_MOST_ITEMS]) or _plain(value)


def _value(key: str, value: object, around: JsonObject) -> str:
    if key.endswith("_cents") and isinstance(value, int):
        return f"{value / 100:.2f} {as_text(around.get('currency'))}".strip()
    if as_object(value) is not None:
        return _nested(value)
    items = as_list(value)
    if items or value == []:
        more = f" and {len(items) - _MOST_ITEMS} more" if len(items) > _MOST_ITEMS else ""
        return (", ".join(_nested(item) for item in items[:_MOST_ITEMS]) or "none") + more
    return _plain(value)


def _nested(value: object) -> str:
    members = as_object(value)
    if members is None:
        return _plain(value)
    return f"({', '.join(f'{_label(key)} {_value(key, item, members)}' for key, item in members.items())})"


def _plain(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _label(key: str) -> str:
    return " ".join(name_words(key.removesuffix("_cents"))) or key


def _title(name: str) -> str:
    return " ".join(name_words(name)).capitalize() or name


def _sentence(text: str) -> str:
    text = text.strip()
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST].rsplit(' ', 1)[0]} \u2026"
    return cut if cut.endswith((".", "!", "?", "\u2026")) else f"{cut}."
