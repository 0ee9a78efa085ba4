"""`mandate policy docs`: the policies in plain words, for whoever has to judge them. Made from the set itself."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from control import ACTION_WORDS, FACT_WORDS, Layer, Rule, facts_of, parse_layer, publisher_text, words_of
from core import ActionKind, Lane

FILE = Path("docs") / "policies.md"

_LANES = {
    Lane.AUTOMATIC: "May go ahead",
    Lane.APPROVAL: "Needs a colleague's approval",
    Lane.NEVER: "Is refused",
}
_KINDS = {"String": "a word", "Long": "a whole number", "Bool": "yes or no", "Set<String>": "words"}

_HEAD = """# The policies in plain words

Made by `mandate policy docs` from the policies themselves; a test holds that the two agree. Nobody edits this page.

Whatever an agent does, and whatever a person does through the product that reaches a model, documents or a tool, is
decided by these rules before it happens. The rules look at facts only; the last chapter lists them.

- **What no rule lets go ahead is refused.** So is whatever the rules cannot decide, since a fact is missing or wrong.
- **The strictest rule that applies wins.** One that refuses always does.
- **There are three layers.** The publisher's rules come with the product. An environment's and then an organisation's
  own come on top, and can only refuse more, or ask for approval where the publisher would let something go ahead.
- **Where several rules ask for approval**, as many different people have to approve as the rule with most asks for.
- **A rule that ends the run** says with which code; otherwise the agent is told that this was refused, and goes on.
"""


async def write(root: Path) -> int:
    """Write the page anew."""
    (root / FILE).write_text(page(root), encoding="utf-8")
    print(f"{FILE} is written.")
    return 0


def page(root: Path) -> str:
    """Return the page, from the policies of the code and of all environments below `root`."""
    rules = parse_layer(Layer.PUBLISHER, publisher_text())
    environments = {
        path.parent.name: parse_layer(Layer.ENVIRONMENT, path.read_text(encoding="utf-8"))
        for path in sorted((root / "environments").glob("*/policies.cedar"))
    }
    lines = [_HEAD, "## The publisher's rules\n", *_by_action(rules), "## What environments add\n"]
    for name, added in environments.items():
        lines += [f"### In `{name}`\n", *(_by_lane(added) if added else ["Nothing.\n"])]
    return "\n".join([*lines, "## The facts\n", *_facts()])


def _by_action(rules: Sequence[Rule]) -> Iterator[str]:
    everything = [rule for rule in rules if len(words_of(rule).about) == len(ActionKind)]
    yield "### Whatever is done\n"
    yield from _by_lane(everything)
    for kind, words in ACTION_WORDS.items():
        yield f"### {words}\n"
        yield from _by_lane([rule for rule in rules if kind in words_of(rule).about and rule not in everything])


def _by_lane(rules: Sequence[Rule]) -> Iterator[str]:
    for lane, title in _LANES.items():
        if found := [rule for rule in rules if rule.lane is lane]:
            yield f"**{title}**\n"
            yield "| Rule | Why | It applies |\n|---|---|---|"
            yield from (_line(rule) for rule in found)
            yield ""


def _line(rule: Rule) -> str:
    ends = f" Ends the run: `{rule.ends}`." if rule.ends else ""
    people = f" {rule.approvers} different people have to." if rule.approvers > 1 else ""
    return f"| {rule.id.partition('/')[2]} | {_cell(rule.reason)}{people}{ends} | {_cell(words_of(rule).applies)} |"


def _facts() -> Iterator[str]:
    yield "Each is known of every action that is named; one with a question mark, only where it makes sense.\n"
    yield "| Fact | What it is | Of which actions |\n|---|---|---|"
    for name, words in FACT_WORDS.items():
        of = [kind for kind in ActionKind if name in facts_of(kind)]
        type_ = facts_of(of[0])[name]
        actions = "all" if len(of) == len(ActionKind) else ", ".join(of)
        whether = f"whether {words.name}" if words.no else words.name
        said = f"{whether[0].upper()}{whether[1:]}: {_KINDS[type_.kind]}. {words.more}".strip()
        yield f"| {name}{'' if type_.required else '?'} | {_cell(said)} | {actions} |"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
