"""What a tool is: a typed async function with a declared effect.

All that the gate, the model and the approver need to know of it is derived from its signature and declaration.
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Concatenate, TypeAlias, get_args, get_type_hints

from pydantic import BaseModel

from core import (
    PRISTINE,
    ActionKind,
    Confidentiality,
    Effect,
    Facts,
    Integrity,
    Json,
    Label,
    Permit,
    canonical,
)
from core.errors import Defect
from tools.arguments import Arguments, parse
from tools.caller import Caller
from tools.consequence import amounts, check_template, render, worded
from tools.egress import EgressClient
from tools.schema import Schema, object_schema, parameters_model

MAX_SECONDS = 300

_NAME = re.compile(r"[a-z][a-z0-9_]{1,63}")
_FACT = re.compile(r"[A-Za-z0-9_.-]{0,64}")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What a tool function gets beside its arguments. `http` is the only way out, open for this call alone."""

    caller: Caller
    http: EgressClient


@dataclass(frozen=True, slots=True)
class Refusal:
    """A tool's answer that nothing was done, and why, in words for the model. `detail` is content."""

    code: str
    detail: str


Result: TypeAlias = BaseModel | Refusal
Function: TypeAlias = Callable[Concatenate[ToolCall, ...], Awaitable[Result]]
FactsOf: TypeAlias = Callable[[Mapping[str, Json]], Facts]


@dataclass(frozen=True, slots=True)
class Undo:
    """How the effect of a tool is taken back: by another tool, all of whose values stand in the record of the first.

    Attributes:
        tool: the one that takes it back. No model is offered it, unless an agent was given it too.
        arguments: each of its parameters, and where the value is: `arguments.<name>` or `result.<field>`.
        until: when it is too late, as the rest of a sentence that begins with "until".
    """

    tool: str
    arguments: Mapping[str, str]
    until: str

    def of(self, arguments: Mapping[str, Json], result: Mapping[str, Json]) -> dict[str, Json]:
        """Return the arguments that take back what was done with `arguments` and gave `result`."""
        places = {"arguments": arguments, "result": result}
        named = {parameter: place.partition(".") for parameter, place in self.arguments.items()}
        return {parameter: places[where][name] for parameter, (where, _, name) in named.items()}


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as the rest of the product knows it. Made by the decorator `tool` only.

    Attributes:
        description: what the model is told: the function's docstring.
        parameters: closed JSON schema of the arguments, without any field that says who is asking.
        reversible: the agent, or the person it acts for, can undo the effect.
        timeout: seconds.
        label: of what it returns, as declared.
        ceiling: the most confidential that its arguments may be.
        egress: what it is given leaves the organisation, as with an e-mail, or an address that is fetched.
        prose: parameters that only people inside the organisation read, and nothing acts on.
        named: words by which a person asks for it.
        template: the sentence for the approver; `consequence` fills it in.
        undone_by: how a person can have the effect taken back; None if nobody can from here.
    """

    name: str
    description: str
    effect: Effect
    reversible: bool
    parameters: Schema
    timeout: float
    label: Label
    ceiling: Confidentiality
    egress: bool
    prose: frozenset[str]
    named: tuple[str, ...]
    template: str
    undone_by: Undo | None
    _model: type[BaseModel] = field(repr=False)
    _function: Function = field(repr=False)
    _facts: FactsOf = field(repr=False)

    def parse(self, raw: str) -> Arguments:
        """Validate the arguments that a model wrote.

        Raises:
            Unprocessable: code `tool.arguments`; the message may be shown to the model.
        """
        parsed = parse(self._model, self.parameters, raw)
        return replace(parsed, money=amounts(self.template), prose=self.prose)

    @property
    def parameter_names(self) -> frozenset[str]:
        return frozenset(self._model.model_fields)

    def facts(self, arguments: Arguments) -> Facts:
        """Return what policies may know of the arguments: numbers and enumerations, never content."""
        facts = self._facts(arguments.values)
        for value in facts.values():
            for text in value if isinstance(value, tuple) else (value,):
                if isinstance(text, str) and not _FACT.fullmatch(text):
                    raise Defect(
                        f"A fact of tool {self.name} is free text: policies see no content.", code="defect.tool"
                    )
        return facts

    def consequence(self, arguments: Arguments) -> str:
        """Return what will happen, in plain words for an approver. Content: it repeats arguments."""
        return render(self.template, arguments.values)

    def worded(self, name: str, value: Json) -> str:
        """Return the value of a parameter as people read it: 1250 of an amount in cents as 12.50."""
        return worded(self.template, name, value)

    def result_label(self, arguments: Label = PRISTINE) -> Label:
        """Return the label of a result: no better than declared, and no better than that of the call's `arguments`.

        A receipt may repeat what it was given, and who names the record that is read has chosen its fields: an order
        that a stranger's letter led to must not come out as a trusted one.
        """
        return self.label.join(arguments)

    def permitted(self, permit: Permit, arguments: Arguments) -> Callable[[ToolCall], Awaitable[Result]]:
        """Spend `permit` and return the function with exactly the permitted arguments bound to it.

        Raises:
            Defect: the permit is for something else or was spent before.
        """
        permit.spend(ActionKind.CALL_TOOL, self.name, arguments.values)
        given = self._model.model_validate_json(canonical(arguments.values))
        return partial(self._function, **{name: getattr(given, name) for name in self._model.model_fields})


def _no_facts(_: Mapping[str, Json]) -> Facts:
    return {}


def tool(
    *,
    effect: Effect,
    reversible: bool,
    consequence: str,
    timeout: float = 10.0,
    facts: FactsOf = _no_facts,
    result_integrity: Integrity = Integrity.UNTRUSTED,
    result_confidentiality: Confidentiality = Confidentiality.CONFIDENTIAL,
    ceiling: Confidentiality = Confidentiality.CONFIDENTIAL,
    egress: bool = False,
    prose: Collection[str] = (),
    named: Sequence[str] = (),
    undone_by: Undo | None = None,
) -> Callable[[Function], Tool]:
    """Make a tool of an async function `(call: ToolCall, ...) -> Model | Refusal`.

    Args:
        effect: what it does to the world.
        reversible: whether that can be undone.
        consequence: sentence for the approver with `{parameter}` in it; `{amount_cents:money}` prints 1250 as 12.50.
        timeout: seconds; the run's deadline may be nearer.
        facts: pure function from the arguments to what policies may decide on.
        result_integrity: trusted only if nothing that it returns was written by an outsider.
        result_confidentiality: how confidential what it returns is.
        ceiling: the most confidential that it may be given.
        egress: whether a read carries what it is given outwards; what is external always does.
        prose: parameters that only people inside the organisation read, such as the text of a ticket.
        named: words by which a person asks for it; where one stands in their message, the choice of it was theirs.
        undone_by: how the effect is taken back.

    Raises:
        Defect: the signature, the docstring or the declaration breaks a rule of this folder.
    """

    def make(function: Function) -> Tool:
        name = function.__name__
        _check(name, effect, reversible=reversible, timeout=timeout)
        model = parameters_model(function)
        outwards = egress or effect is Effect.EXTERNAL
        _check_flow(name, effect, model, prose, outwards=outwards)
        check_template(consequence, model.model_fields)
        _check_results(function)
        _check_undo(name, model, function, undone_by)
        return Tool(
            name=name,
            description=_description(function),
            effect=effect,
            reversible=reversible,
            parameters=object_schema(model),
            timeout=timeout,
            label=Label(integrity=result_integrity, confidentiality=result_confidentiality),
            ceiling=ceiling,
            egress=outwards,
            prose=frozenset(prose),
            named=tuple(named),
            template=consequence,
            undone_by=undone_by,
            _model=model,
            _function=function,
            _facts=facts,
        )

    return make


def _check(name: str, effect: Effect, *, reversible: bool, timeout: float) -> None:
    if not _NAME.fullmatch(name) or name == "unknown":
        raise Defect(f"{name} cannot be a tool's name.", code="defect.tool")
    if reversible and effect is Effect.IRREVERSIBLE:
        raise Defect(f"Tool {name} is declared irreversible and reversible.", code="defect.tool")
    if not 0 < timeout <= MAX_SECONDS:
        raise Defect(f"Tool {name} needs a timeout of at most {MAX_SECONDS} seconds.", code="defect.tool")


def _check_flow(name: str, effect: Effect, model: type[BaseModel], prose: Collection[str], *, outwards: bool) -> None:
    if outwards and effect not in (Effect.READ, Effect.EXTERNAL):
        raise Defect(f"Tool {name} carries data outwards: then its effect is read or external.", code="defect.tool")
    if outwards and prose:
        raise Defect(f"Tool {name} carries its text outwards: no part of it is for us alone.", code="defect.tool")
    if any(
        parameter not in model.model_fields or model.model_fields[parameter].annotation is not str
        for parameter in prose
    ):
        raise Defect(f"Tool {name} declares as prose what is no text of it.", code="defect.tool")


def _check_results(function: Function) -> None:
    returned = get_type_hints(function)["return"]
    for kind in get_args(returned) or (returned,):
        if kind is not Refusal:
            object_schema(kind, closed=False)


def _check_undo(name: str, model: type[BaseModel], function: Function, undo: Undo | None) -> None:
    if undo is None:
        return
    returned = get_type_hints(function)["return"]
    kinds: list[type[BaseModel]] = [kind for kind in get_args(returned) or (returned,) if kind is not Refusal]
    known = {f"arguments.{parameter}" for parameter in model.model_fields}
    known |= {f"result.{name}" for name in kinds[0].model_fields if all(name in kind.model_fields for kind in kinds)}
    if undo.tool == name or not undo.until or not known.issuperset(undo.arguments.values()):
        raise Defect(f"Tool {name} cannot be undone by itself, or from what it has not.", code="defect.tool")


def _description(function: Function) -> str:
    told = " ".join((inspect.getdoc(function) or "").split())
    if not told:
        raise Defect(f"Tool {function.__name__} has no docstring to tell the model what it does.", code="defect.tool")
    return told
