"""The phrases by which a text gives itself away that is written for an agent and not for a person.

A strong sign suffices; of weak signs it takes two. English first, the commonest in Dutch, German, French and Spanish.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

_ENOUGH = 2
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\U000e0000-\U000e007f]")
_MANY_UNSEEN = 3

_AI = (
    r"(?:ai|llms?|(?:large )?language model|chat ?bot|bot|ai[ \-](?:agent|assistant|model|system)|"
    r"assistant|agent|"
    r"copilot|summari[sz]er|automated (?:system|reader|assistant)s?|ki|taalmodel|sprachmodell|assistent|ia|asistente)"
)
_RULES = (
    r"(?:instructions?|rules|guidelines|guardrails|prompts?|directives?|constraints?|restrictions?|safeguards?|"
    r"programming|training|instructies|regels|richtlijnen|opdrachten|anweisungen|regeln|vorgaben|r\u00e8gles|consignes|"
    r"instrucciones|reglas|everything (?:above|before|you)|all (?:of )?the above)"
)
_WORDS = r"(?:[\w'\-]+ ){0,5}?"


_AI_WORDS = (
    "ai llm llms large language chat chatbot bot assistant agent copilot summariser automated ki taalmodel "
    "sprachmodell assistent ia asistente"
)
_APART = str.maketrans(dict.fromkeys("\"'()[]-<>*/,.;:!?", " "))
_PREFIX = 5


class _Sign(NamedTuple):
    """A pattern, tried only where a word begins as one of `words` does, or one of `marks` stands."""

    weight: int
    words: frozenset[str]
    marks: tuple[str, ...]
    pattern: re.Pattern[str]


def _sign(weight: int, words: str, pattern: str, marks: str = "") -> _Sign:
    beginnings = frozenset(word[:_PREFIX] for word in words.split())
    return _Sign(weight, beginnings, tuple(marks.split()), re.compile(pattern))


_SIGNS = (
    # what the agent was told is to count no more
    _sign(
        2,
        "ignore disregard forget override bypass follow obey negeer vergeet vergiss missachte oublie olvida",
        r"\b(?:ignor(?:e|ing|er|ez|iere|ieren|a)|disregard|forget(?: about)?|overrid(?:e|es|ing)|bypass|"
        r"(?:do not|don't|stop) (?:follow|obey)(?:ing)?|negeer|vergeet|vergiss|missachte|oublie[rz]?|olvida)\s"
        rf"(?:(?!my |our )[\w'\-]+ ){{0,4}}?{_RULES}\b",
    ),
    _sign(2, "instructions", r"\b(?:new|updated|real|actual|additional) instructions (?:for you|follow|are|:)"),
    # it is to be somebody else
    _sign(
        2,
        "mode unrestricted unfiltered jailbroken without anything",
        r"\b(?:you are|you're|act(?:ing)? as|pretend|become|enable|enter|activate|switch to)\b.{0,60}?"
        r"(?:developer mode|god mode|debug mode|unrestricted|unfiltered|jailbr\w+|anything now|"
        r"without (?:any )?(?:limits|limitations|rules|restrictions|filters))",
    ),
    _sign(1, "now role", r"\b(?:you are now (?:an? |the )?\w+|from now on,? you|your new role)\b"),
    _sign(1, "pretend act role roleplay", r"\b(?:pretend (?:to be|that|you)|act as(?: if| though)?|role[ \-]?play)\b"),
    _sign(1, "bent bist maintenant ahora", r"\b(?:je bent nu|du bist (?:jetzt|nun)|tu es maintenant|ahora eres)\b"),
    # it is addressed
    _sign(
        2,
        _AI_WORDS,
        r"\b(?:note|message|attention|important|instructions?|notice|bericht|hinweis|nachricht|mensaje|nota)\b"
        r"[^.\n]{0,20}?\b(?:to|for|an|aan|voor|f\u00fcr|\u00e0|a|para)\s"
        rf"(?:the |any |all |every |die |den |de |het |le |la |l')?{_AI}\b",
    ),
    _sign(
        2,
        _AI_WORDS,
        rf"\b(?:if you are|if you're|als je een|wenn du eine?|si tu es une?|si eres una?)\s(?:an? )?{_AI}\b",
    ),
    _sign(
        2,
        _AI_WORDS,
        rf"\b{_AI}s?,? you (?:must|should|shall|have to|need to|will)\b",
    ),
    _sign(
        2,
        _AI_WORDS,
        rf"\b{_AI}s?\s(?:that |who |which |is |are )?"
        r"(?:reading|reads?|processing|process(?:es)?|summari[sz]ing) this\b",
    ),
    # the person is to be kept in the dark, or not to be asked
    _sign(
        2,
        "user human operator gebruiker benutzer nutzer utilisateur usuario",
        r"\b(?:do not|don't|never|without|niet|niets|nichts|rien|nada)\b.{0,40}?"
        r"\b(?:the user|the human|the operator|de gebruiker|dem (?:be)?nutzer|l'utilisateur|al usuario)\b",
    ),
    _sign(
        1,
        "approval confirm permission authorisation",
        r"\b(?:without|skip|bypass|disable[ds]?|no need for|not need|no longer)\b.{0,30}?"
        r"\b(?:approvals?|confirm(?:ation|ing)|permission|authori[sz]ation)\b|"
        r"\b(?:approvals?|confirmation|permission) (?:step )?(?:is|are) "
        r"(?:not |no longer |un)(?:needed|required|necessary)",
    ),
    _sign(1, "silently quietly secretly nothing", r"\b(?:silently|quietly|secretly|as if nothing)\b"),
    # what it was told, or has read, is to come out
    _sign(
        2,
        "system prompt instructions hidden secret initial original",
        r"\b(?:reveal|print|show|repeat|output|display|tell|give|leak|disclose|what (?:is|are)|gib|zeige?|toon|geef|"
        r"affiche|muestra)\b.{0,40}?\b"
        r"(?:system ?prompt|(?:hidden|secret|initial|original) (?:prompts?|instructions?|rules|messages?)|"
        r"your (?:exact |full |own )?(?:instructions|prompt))\b",
    ),
    _sign(
        2,
        "send forward post upload append submit exfiltrate leak email mail",
        r"\b(?:send|forward|post|upload|append|submit|exfiltrate|leak|e-?mail)\b.{0,40}?\b"
        r"(?:this conversation|the conversation|"
        r"chat history|context window|credentials|api keys?|all (?:open )?(?:orders|customers|records|e-?mails))\b",
    ),
    # marks that stand between texts where a model reads them
    _sign(2, "", r"<\|(?:im_|system|user|assistant|end)|\[/?inst\]|<<sys>>|</?system>", marks="<| inst] <<sys system>"),
    _sign(2, "", r"###\s?(?:new |system |override )*(?:instruction|system|prompt|override)", marks="###"),
    _sign(2, "system assistant", r"(?:^|[\n>]\s*)(?:system|assistant)\s?:\s?\S"),
    _sign(2, "override", r"\b(?:begin|start|admin|system) override\b"),
    _sign(2, "", r"\[\[\w+ \w+=", marks="[["),
    _sign(
        2,
        "base64 rot13 hex",
        r"\b(?:decode|entschl\u00fcssle|decodeer)\b.{0,60}?\b(?:base64|rot13|hex)\b.{0,40}?\b(?:follow|do|execute|obey|run)\b",
    ),
)


_BY_WORD: dict[str, set[int]] = {}
for _number, _one in enumerate(_SIGNS):
    for _word in _one.words:
        _BY_WORD.setdefault(_word, set()).add(_number)
_MARKED = tuple((mark, number) for number, sign in enumerate(_SIGNS) for mark in sign.marks)
"""Which signs a text is worth being tried for: by the beginnings of its words, by the marks that stand in it."""


def is_suspicious(text: str, tools: Sequence[str] = ()) -> bool:
    """Return whether `text` looks as if written to steer an agent; `tools` are names that only agents use."""
    plain, hidden = _seen(text)
    if hidden > _MANY_UNSEEN or any(tool in plain for tool in tools):
        return True
    words = {word[:_PREFIX] for word in plain.translate(_APART).split()} & _BY_WORD.keys()
    worth = {number for mark, number in _MARKED if mark in plain}.union(*(_BY_WORD[word] for word in words))
    weight = 0
    for number in worth:
        weight += _SIGNS[number].weight if _SIGNS[number].pattern.search(plain) else 0
        if weight >= _ENOUGH:
            return True
    return False


def _seen(text: str) -> tuple[str, int]:
    """Return the text in small letters without what nobody sees, and how much of that there was."""
    if text.isascii():
        return text.lower(), 0
    clean, unseen = _UNSEEN.subn("", unicodedata.normalize("NFKC", text))
    return clean.lower(), unseen
