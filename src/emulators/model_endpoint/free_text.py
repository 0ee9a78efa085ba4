"""Free text for an argument: always a stretch of the user's own words, never something made up."""

import re
from collections.abc import Sequence

from emulators.model_endpoint.schema import Field
from emulators.model_endpoint.values import Found, quotes
from emulators.model_endpoint.words import stems

_REASON = re.compile(
    r"\b(?:because(?: of)?|since|due to|reason(?: is| being)?\b:?|on the grounds that)\s+", re.IGNORECASE
)
_SUBJECT = re.compile(
    r"\b(?:about|regarding|concerning|titled|with (?:the )?subject|subject(?: is)?\b:?|on the topic of)\s+",
    re.IGNORECASE,
)
_BODY = re.compile(
    r"\b(?:saying(?: that)?|that says|says?|tell(?:ing)? (?:\w+ )?that|stating that|to say that|with (?:the )?(?:text|"
    r"body|message)|(?:text|body|message)(?: is)?:)\s*:?\s*",
    re.IGNORECASE,
)
_SEARCH = re.compile(r"\b(?:for|about|on)\s+", re.IGNORECASE)
_LEADS = {
    "reason": _REASON, "cause": _REASON, "justification": _REASON, "explanation": _REASON,
    "subject": _SUBJECT, "title": _SUBJECT, "topic": _SUBJECT, "headline": _SUBJECT,
    "query": _SEARCH, "question": _SEARCH,
}  # fmt: skip
_EDGES = " \t\n,;:.!-\u2013\"'\u201c\u201d"
_COLON = re.compile(r":\s+")
_FEWEST_WORDS = 2
_DEFAULT_LENGTH = 4000


def write(one: Field, said: tuple[str, str, str], used: Sequence[Found]) -> str | None:
    """Return the stretch of what was `said` (clause, preamble, request) that fits the parameter best.

    In this order: what is quoted, what follows a word such as `because` or `saying`, what follows a colon or the last
    value taken for another parameter, the preamble, the clause, the request. None if all are too short.
    """
    clause, preamble, request = said
    lead = next((pattern for word, pattern in _LEADS.items() if word in one.name.lower()), _BODY)
    subject = lead is _SUBJECT
    marked = [_quoted(clause, first=subject), _after(lead, clause), _after(_BODY if subject else lead, request)]
    left_over = [_after(_COLON, clause), *([] if subject else [_left_over(clause, used)]), preamble]
    options = [text for text in marked if stems(text)] + [text for text in left_over if _says_something(text)]
    for option in (*options, clause, request):
        text = _cut(option.lstrip("?").strip(_EDGES), _limit(one, "maxLength", _DEFAULT_LENGTH))
        if len(text) >= _limit(one, "minLength", 1):
            return text
    return None


def _quoted(clause: str, *, first: bool) -> str:
    found = [str(quote.value) for quote in quotes(clause)]
    return (found[0] if first else found[-1]) if found else ""


def _after(lead: re.Pattern[str], text: str) -> str:
    match = lead.search(text)
    if not match:
        return ""
    rest = text[match.end() :]
    end = _BODY.search(rest) if lead is _SUBJECT else None
    return re.sub(r"\s+(?:and|with)\s*$", "", rest[: end.start()]) if end else rest


def _left_over(clause: str, used: Sequence[Found]) -> str:
    """Return what follows the last value used, without the joint: `..., the lamp was broken`."""
    if not used:
        return ""
    rest = clause[max(found.end for found in used) :]
    return re.sub(r"^[\s,;:.]*(?:(?:and|as|for|since|because)\b\s*)?", "", rest)


def _says_something(text: str) -> bool:
    """Return whether `text` is more than an identifier with what leads up to it."""
    words = [word for word in stems(text) if word.isalpha() and len(word) > 1]
    return len(words) >= _FEWEST_WORDS or (len(text.split()) > _FEWEST_WORDS and not re.search(r"\d", text))


def _limit(one: Field, key: str, default: int) -> int:
    limit = one.schema.get(key)
    return limit if isinstance(limit, int) else default


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0].strip(_EDGES)
