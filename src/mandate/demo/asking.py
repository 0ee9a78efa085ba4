"""Chapter: answers come from the company's own documents, with their sources, and only from what one may read."""

from contextlib import aclosing
from http import HTTPStatus

from core import Json
from mandate.api import Answered, Document, Opened, Passage, Retrieved, Search
from mandate.demo.report import expect
from mandate.demo.story import LAB, SHOP, Question, Story
from mandate.turns import ask, follow, last_run
from web import ServerEvent

WORKING_NAME = "Copper Lantern"
"""The working name of a playbook of the shop's returns desk; it stands in no other document."""


async def streamed_with_sources(story: Story) -> str:
    """Elif of the shop asks, and the answer streams and cites the document that holds it."""
    wanted = story.questions(SHOP)[0]
    return await _cited(story, "elif", SHOP, wanted.question, wanted)


async def other_company_other_rule(story: Story) -> str:
    """Dario of the laboratory supplier asks the same in the same words, and gets his company's rule."""
    return await _cited(story, "dario", LAB, story.questions(SHOP)[0].question, story.questions(LAB)[0])


async def resumed(story: Story) -> str:
    """A stream that breaks goes on behind the last event that came, without a gap or a repetition."""
    elif_, run = await story.person("elif"), story.note("run of elif")
    whole = [event async for event in follow(elif_, run)]
    middle = whole[len(whole) // 2].id
    rest = [event async for event in follow(elif_, run, after=middle)]
    expect([*whole[: len(whole) // 2 + 1], *rest] == whole, f"{len(rest)} events came after event {middle}")
    return f"{len(rest)} of {len(whole)} events came after event {middle}"


async def says_it_does_not_know(story: Story) -> str:
    """What no document answers is not answered: the agent says that it does not know, and cites nothing."""
    run = await story.ask("elif", "Who won the chess world championship in 1972?")
    expect(run.state == "completed" and run.answer is not None, f"{run.state} {run.code}")
    assert run.answer is not None
    expect(not run.answer.citations, f"it cited {len(run.answer.citations)} passages")
    return run.answer.text


async def looks_up_an_order(story: Story) -> str:
    """A tool that only reads is used at once, and its decision is on record."""
    run = await story.ask("elif", "What is the status of order A-20424?")
    decisions = await story.decisions("elif", run.run, "lookup_order")
    expect(
        [(d.lane, d.outcome) for d in decisions] == [("automatic", "done")],
        f"{run.state}; decided: {[(d.lane, d.outcome) for d in decisions]}",
    )
    return f"{decisions[0].consequence} {decisions[0].reason}"


async def playbook_stays_closed(story: Story) -> str:
    """A playbook of the returns desk is found by a member of the desk, and by nobody else."""
    found = {name: await _search(story, name) for name in ("noor", "elif")}
    expect(WORKING_NAME in found["noor"], "Noor of the returns desk did not find it")
    expect(WORKING_NAME not in found["elif"], "Elif of the shops found it")
    run = await story.ask("elif", f"What does {WORKING_NAME} mean?")
    shown = await _passages(story, "elif", run.run)
    expect(all(WORKING_NAME not in p.text + p.heading for p in shown), "Elif's agent was shown it")
    return f"Elif's agent was shown {len(shown)} other passages"


async def auditor_reads_and_starts_nothing(story: Story) -> str:
    """An auditor may read what was asked, and may not ask."""
    code = await story.refused("greta", HTTPStatus.FORBIDDEN, "POST", "/v1/runs", _question("Hello"))
    read = await story.run("greta", story.note("run of elif"))
    return f"{code}; read {read.run}"


async def _cited(story: Story, name: str, slug: str, question: str, wanted: Question) -> str:
    """Have `name` ask, and check that the answer streams, and cites the wanted document where it holds the words."""
    client = await story.person(name)
    async with aclosing(ask(client, _question(question))) as stream:
        events = [event async for event in stream]
    answered = Answered.model_validate_json(_one(events, "answer_given").data)
    conversation = Opened.model_validate_json(_one(events, "run_opened").data).conversation or ""
    run = await last_run(client, conversation)
    story.runs.append((name, run))
    sources = Retrieved.model_validate_json(_one(events, "passages_retrieved").data).sources
    cited = [p for p in sources if p.passage in {c.passage for c in answered.citations}]
    kinds = [event.event for event in events]
    expect("delta" in kinds[: kinds.index("answer_given")], "the answer did not stream")
    place = await _holding(story, name, slug, cited, wanted)
    story.notes |= {
        f"run of {name}": run,
        f"conversation of {name}": conversation,
        f"document of {name}": place.document,
    }
    return f"{kinds.count('delta')} pieces; cites {place.heading}"


async def _holding(story: Story, name: str, slug: str, cited: list[Passage], wanted: Question) -> Passage:
    """Return the cited passage of the wanted document that holds the wanted words."""
    client, title = await story.person(name), story.title(slug, wanted.expect_document)
    for passage in cited:
        document = Document.model_validate(await client.get(f"/v1/documents/{passage.document}"))
        text = " ".join(passage.text.split()).casefold()
        if document.title == title and all(words.casefold() in text for words in wanted.expect_words):
            return passage
    headings = [passage.heading for passage in cited]
    expect(False, f"cited {headings}, not what says {wanted.expect_words} in {title}")
    raise AssertionError


async def _search(story: Story, name: str) -> str:
    """Return all that somebody finds of the secret, as one text."""
    body: Json = {"text": f"{WORKING_NAME} refund fraud signals", "limit": 20}
    found = Search.model_validate(await (await story.person(name)).post("/v1/search", body))
    story.runs.append((name, found.run))
    return "\n".join(item.heading + item.text for item in found.items)


async def _passages(story: Story, name: str, run: str) -> list[Passage]:
    events = [event async for event in follow(await story.person(name), run)]
    return Retrieved.model_validate_json(_one(events, "passages_retrieved").data).sources


def _question(message: str) -> Json:
    return {"agent": "support", "message": message}


def _one(events: list[ServerEvent], kind: str) -> ServerEvent:
    found = [event for event in events if event.event == kind]
    expect(len(found) == 1, f"{len(found)} events {kind}; the last was {events[-1].event}: {events[-1].data[:300]}")
    return found[0]


STEPS = (
    streamed_with_sources,
    other_company_other_rule,
    resumed,
    says_it_does_not_know,
    looks_up_an_order,
    playbook_stays_closed,
    auditor_reads_and_starts_nothing,
)
