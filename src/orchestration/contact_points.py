"""Links, addresses and account numbers in a text: where a reader of it would go, write, call or pay.

Text that only people read does nothing by itself. A link in it does, once somebody follows it: so a text with one that
an outsider may have chosen counts as acting. The rule finds too much rather than too little: a false find costs a
colleague a look.
"""

import re
from collections.abc import Iterator

from orchestration.spelling import normalised

_DOT = re.compile(r"\s*[\[({]\s*(?:\.|dot|punkt)\s*[\])}]\s*|\s+dot\s+|\u3002")
_AT = re.compile(r"\s*[\[({]\s*(?:@|at)\s*[\])}]\s*")
_POINT = re.compile(
    "|".join(
        (
            r"\b[a-z][a-z0-9+.\-]{1,20}:/\S+",  # anything with a scheme
            r"\b(?:mailto|tel|sms|callto|data|javascript|skype):\S+",
            r"\\\\[^\s\\]+\\\S+",  # a share of a network
            r"[^\s@]+@[^\s@]+",
            r"(?:[\w\-]+\.)+[^\W\d_][\w\-]*[^\W_](?:[/:?#]\S*)?",  # a host, with a path or without
            r"\b\d{1,3}(?:\.\d{1,3}){3}\b(?:[/:]\S*)?",
            r"\b[a-z]{2}\d{2}(?:[ \-]?[a-z0-9]{4}){2,7}(?:[ \-]?[a-z0-9]{1,3})?\b",  # a bank account
            r"(?<![\w\-])(?:\+|\()?\d(?:[\s()/.\-]{0,2}\d){8,18}(?![\w\-])",  # a telephone, a card
        )
    )
)


def contact_points(text: str) -> Iterator[str]:
    """Yield the contact points of a text, normalised, disguises such as `evil[.]example` undone."""
    text = _AT.sub("@", _DOT.sub(".", normalised(text)))
    yield from (match.group().strip("<>()[]{}.,;:!?'\"") for match in _POINT.finditer(text))
