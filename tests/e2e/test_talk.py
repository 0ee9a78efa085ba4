"""What people do with what was said: ask again, give titles, look for it, take it away, object to it."""

import asyncio

import orjson
from commands import SignIn, administrative_acts

from core import Json, new_id
from data import APPROVALS, FLAGS, RUNS, rebuild_differences
from data.sqlite import open_store
from mandate.client import Answer, Client
from mandate.local.stack import Stack
from mandate.turns import ended

SANDER, NOOR, MIA = "sander@alderfinch.example", "noor@alderfinch.example", "mia@alderfinch.example"
GRETA, ELIF, RUTH = "greta@alderfinch.example", "elif@alderfinch.example", "ruth@quillmere.example"
DARIO, INGRID = "dario@quillmere.example", "ingrid@quillmere.example"
QUESTION = "How long does a customer have to send a drill back?"
REFUND = "Please refund 0.01 EUR for order A-20398 because the pole was late."


def question(message: str = QUESTION, **more: Json) -> dict[str, Json]:
    return {"agent": "support", "message": message, **more}


def at(value: Json, *path: str | int) -> Json:
    """Return what stands at a path in JSON."""
    for part in path:
        if isinstance(part, int):
            assert isinstance(value, list)
            value = value[part]
        else:
            assert isinstance(value, dict)
            value = value[part]
    return value


def text(value: Json, *path: str | int) -> str:
    return str(at(value, *path))


async def exchanges(client: Client, conversation: Json) -> list[str]:
    runs = (await client.get(f"/v1/conversations/{conversation}"))["runs"]
    assert isinstance(runs, list)
    return [text(run, "run") for run in runs]


async def refused(call: Answer) -> tuple[int, str]:
    return call.status, str(call.body.get("code"))


async def test_a_turn_asked_again_takes_the_place_of_the_last_once_and_the_old_one_stays_readable(
    client: SignIn,
) -> None:
    sander = await client(SANDER)
    first = await sander.post("/v1/runs", question("Good morning", use_knowledge=False))
    old = await sander.post("/v1/runs", question("Is my name Sandra Quist?", conversation=first["conversation"]))
    key = new_id("key")
    again = question("What did I say before?", replaces=old["run"], use_knowledge=False)
    new = await sander.post("/v1/runs", again, Idempotency_Key=key)
    assert (new["replaces"], new["conversation"]) == (old["run"], first["conversation"])
    assert await exchanges(sander, first["conversation"]) == [first["run"], new["run"]]
    assert (await sander.post("/v1/runs", again, Idempotency_Key=key))["run"] == new["run"]
    assert await refused(await sander.ask("POST", "/v1/runs", again)) == (409, "conversation.replaced")
    assert (await sander.get(f"/v1/runs/{old['run']}"))["message"] == "Is my name Sandra Quist?"
    events = (await sander.get(f"/v1/runs/{new['run']}/events"))["items"]
    assert text(events, 0, "replaces") == old["run"]
    assert "Quist" not in orjson.dumps(events).decode(), "the model was shown what was replaced"


async def test_of_two_who_replace_the_same_turn_at_once_one_is_refused(client: SignIn) -> None:
    sander = await client(SANDER)
    old = await sander.post("/v1/runs", question("Good morning", use_knowledge=False))
    again = question("Good evening", replaces=old["run"], use_knowledge=False)
    answers = await asyncio.gather(*(sander.ask("POST", "/v1/runs", again) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
    assert len(await exchanges(sander, old["conversation"])) == 1
    title = (await sander.get(f"/v1/conversations/{old['conversation']}"))["title"]
    assert title == "Good evening"


async def test_a_waiting_turn_and_somebody_elses_cannot_be_replaced(client: SignIn) -> None:
    elif_, noor, ruth = [await client(name) for name in (ELIF, NOOR, RUTH)]
    waiting = await elif_.post("/v1/runs", question(REFUND, use_knowledge=False))
    again = question(replaces=waiting["run"])
    assert await refused(await elif_.ask("POST", "/v1/runs", again)) == (409, "conversation.busy")
    for other in (noor, ruth):
        assert (await other.ask("POST", "/v1/runs", again)).status == 404
    await elif_.post(f"/v1/runs/{waiting['run']}/cancel")


async def test_a_conversation_is_renamed_and_found_by_its_title_and_by_what_was_said(client: SignIn) -> None:
    sander, noor = await client(SANDER), await client(NOOR)
    said = await sander.post("/v1/runs", question("Où est la scie égoïste?", use_knowledge=False))
    path = f"/v1/conversations/{said['conversation']}"
    read = await sander.ask("GET", path)
    renamed = await sander.ask("PATCH", path, {"title": "Zubehör für Ämter"}, If_Match=read.headers["ETag"])
    assert (renamed.status, renamed.body["title"]) == (200, "Zubehör für Ämter")
    assert renamed.headers["ETag"] != read.headers["ETag"]
    stale = await sander.ask("PATCH", path, {"title": "No"}, If_Match=read.headers["ETag"])
    assert await refused(stale) == (412, "precondition")
    for words, place in (("AMTER zubehor", "title"), ("egoiste scie", "message")):
        assert await found_in(sander, words, said["conversation"]) == place
    assert not await searched(noor, "amter zubehor")
    assert not await searched(sander, "zubehor scie"), "the words stand in different texts"


async def found_in(client: Client, words: str, conversation: Json) -> str:
    """Return where in a conversation the words are found, once the list has it."""
    for _ in range(30):
        for hit in await searched(client, words):
            if text(hit, "conversation") == conversation:
                return text(hit, "found", "place")
        await asyncio.sleep(0.1)
    raise AssertionError(f"not found: {words}")


async def searched(client: Client, words: str) -> list[Json]:
    """Look through everything, page by page."""
    items: list[Json] = []
    cursor: Json = None
    while True:
        page = await client.post("/v1/conversations/search", {"text": words, "limit": 2, "cursor": cursor})
        found, cursor = page["items"], page["cursor"]
        assert isinstance(found, list)
        items += found
        if cursor is None:
            return items


async def test_a_deleted_conversation_leaves_evidence_and_no_words(client: SignIn, stack: Stack) -> None:
    sander, mia = await client(SANDER), await client(MIA)
    key = new_id("key")
    first = question("My neighbour Ottoline owes me a drill.")
    said = await sander.post("/v1/runs", first, Idempotency_Key=key)
    other = question("Ottoline lives at number 4.", replaces=said["run"])
    second = await sander.post("/v1/runs", other)
    path = f"/v1/conversations/{said['conversation']}"
    assert (await sander.ask("DELETE", path)).status == 204
    for address in (path, f"/v1/runs?conversation={said['conversation']}"):
        assert (await sander.ask("GET", address)).status == 404
    assert (await sander.ask("PATCH", path, {"title": "Back"})).status == 404
    assert (await sander.ask("POST", "/v1/runs", question(conversation=said["conversation"]))).status == 404
    assert (await sander.ask("POST", "/v1/runs", first, Idempotency_Key=key)).status == 422
    assert not await searched(sander, "Ottoline")
    seen = await mia.get(path)
    assert seen["title"] == "(erased)"
    assert text(seen, "runs", 0, "message") == text(seen, "runs", 0, "answer", "text") == "(erased)"
    for run in (said["run"], second["run"]):
        everything = [await mia.get(f"/v1/runs/{run}{part}") for part in ("", "/events", "/explanation")]
        assert b"Ottoline" not in orjson.dumps(everything)
        assert text(everything, 0, "message") == "(erased)"
        assert (await mia.get(f"/v1/runs/{run}/verification"))["ok"] is True
    assert said["conversation"] in [key for _, key, _ in await administrative_acts(mia)]
    assert (await sander.ask("DELETE", path)).status == 204, "deleting again is no error, so that a crash is made good"


async def test_a_conversation_with_a_waiting_turn_is_not_deleted(client: SignIn) -> None:
    elif_ = await client(ELIF)
    waiting = await elif_.post("/v1/runs", question(REFUND, use_knowledge=False))
    path = f"/v1/conversations/{waiting['conversation']}"
    assert await refused(await elif_.ask("DELETE", path)) == (409, "conversation.busy")
    assert (await elif_.get(path))["title"] == REFUND
    await elif_.post(f"/v1/runs/{waiting['run']}/cancel")
    await ended(elif_, str(waiting["run"]), 10)
    assert (await elif_.ask("DELETE", path)).status == 204


async def test_an_answer_is_flagged_once_by_each_reader_listed_and_resolved(client: SignIn) -> None:
    sander, mia, greta, noor = [await client(name) for name in (SANDER, MIA, GRETA, NOOR)]
    run = (await sander.post("/v1/runs", question()))["run"]
    body = {"kind": "not_grounded", "reason": "That is not what the page says."}
    placed = await sander.ask("POST", f"/v1/runs/{run}/flags", body)
    assert (placed.status, placed.body["state"]) == (201, "open")
    flag = placed.body["flag"]
    assert (await sander.ask("POST", f"/v1/runs/{run}/flags", body)).status == 200
    otherwise = await sander.ask("POST", f"/v1/runs/{run}/flags", {**body, "kind": "wrong"})
    assert await refused(otherwise) == (409, "flag.exists")
    assert (await greta.ask("POST", f"/v1/runs/{run}/flags", {**body, "kind": "unsafe"})).status == 201
    assert (await noor.ask("POST", f"/v1/runs/{run}/flags", body)).status == 404
    view = await sander.get(f"/v1/runs/{run}")
    assert (view["flags"], view["state"]) == ({"count": 2, "open": 2, "mine": "not_grounded"}, "completed")
    assert (await mia.get(f"/v1/runs/{run}/verification"))["ok"] is True
    assert await listed(greta, "open", flag) == (body["reason"], "Sander Claes")
    assert (await sander.ask("GET", "/v1/flags")).status == 403
    told = {"reason": "The page was unclear; it is rewritten."}
    assert (await greta.ask("POST", f"/v1/flags/{flag}/resolve", told)).status == 403
    assert (await mia.post(f"/v1/flags/{flag}/resolve", told))["state"] == "resolved"
    assert (await mia.post(f"/v1/flags/{flag}/resolve", told))["state"] == "resolved"
    again = await mia.ask("POST", f"/v1/flags/{flag}/resolve", {"reason": "Something else."})
    assert await refused(again) == (409, "flag.resolved")
    assert (await sander.get(f"/v1/runs/{run}"))["flags"] == {"count": 2, "open": 1, "mine": "not_grounded"}
    assert await listed(greta, "resolved", flag) == (body["reason"], "Sander Claes")


async def listed(client: Client, state: str, flag: Json) -> tuple[str, str]:
    """Return the reason of a flag in the list, and the name of who placed it, once the view has it."""
    for _ in range(30):
        items = (await client.get(f"/v1/flags?state={state}&limit=100"))["items"]
        assert isinstance(items, list)
        for item in items:
            if text(item, "flag") == flag:
                return text(item, "reason"), text(item, "flagged_by_name")
        await asyncio.sleep(0.1)
    raise AssertionError(f"the flag is not in the list of those that are {state}")


async def test_whoever_follows_a_flagged_run_sees_its_end_and_its_flag_and_is_let_go(client: SignIn) -> None:
    sander = await client(SANDER)
    run = (await sander.post("/v1/runs", question("Good morning", use_knowledge=False)))["run"]
    await sander.post(f"/v1/runs/{run}/flags", {"kind": "other", "reason": "Too short."})
    async with asyncio.timeout(5):
        async with sander.stream("GET", f"/v1/runs/{run}/events") as events:
            told = [event async for event in events]
        async with sander.stream("GET", f"/v1/runs/{run}/events", Last_Event_ID=told[-1].id) as events:
            assert [event async for event in events] == []
    assert [event.event for event in told[-2:]] == ["run_ended", "answer_flagged"]
    assert orjson.loads(told[-1].data)["reason_text"] == "Too short."


async def test_a_run_without_an_answer_cannot_be_flagged(client: SignIn) -> None:
    elif_ = await client(ELIF)
    waiting = await elif_.post("/v1/runs", question(REFUND, use_knowledge=False))
    body = {"kind": "wrong", "reason": "There is nothing yet."}
    assert await refused(await elif_.ask("POST", f"/v1/runs/{waiting['run']}/flags", body)) == (409, "flag.no_answer")
    await elif_.post(f"/v1/runs/{waiting['run']}/cancel")


async def test_nothing_of_this_reaches_into_another_organisation(client: SignIn) -> None:
    sander, ruth, ingrid = [await client(name) for name in (SANDER, RUTH, INGRID)]
    said = await sander.post("/v1/runs", question("The secret word is Quatrefoil.", use_knowledge=False))
    flag = await sander.post(f"/v1/runs/{said['run']}/flags", {"kind": "privacy", "reason": "It is secret."})
    conversation = f"/v1/conversations/{said['conversation']}"
    for stranger in (ruth, ingrid):
        calls = [
            stranger.ask("PATCH", conversation, {"title": "Mine"}),
            stranger.ask("DELETE", conversation),
            stranger.ask("POST", f"/v1/runs/{said['run']}/flags", {"kind": "wrong", "reason": "None of mine."}),
            stranger.ask("POST", "/v1/runs", question(replaces=said["run"])),
        ]
        assert [(await call).status for call in calls] == [404] * 4
        assert not await searched(stranger, "Quatrefoil")
    resolved = await ingrid.ask("POST", f"/v1/flags/{flag['flag']}/resolve", {"reason": "None of mine."})
    assert resolved.status == 404
    assert (await sander.get(conversation))["title"] == "The secret word is Quatrefoil."


async def test_the_stream_says_what_the_agent_does_before_it_does_it(client: SignIn) -> None:
    elif_ = await client(ELIF)
    async with elif_.stream("POST", "/v1/runs", question(REFUND)) as events:
        told = [orjson.loads(event.data) async for event in events if event.id]
    phases = [event["phase"] for event in told if "phase" in event]
    for before, after in (("received", "searching"), ("searching", "asking_model"), ("asking_model", "waiting")):
        assert phases.index(before) < phases.index(after)
    assert told[-1]["waiting_for"]["roles"] == ["approver", "owner"]
    assert told[-1]["waiting_for"]["until"] == told[-1]["until"]
    assert next(event["says"] for event in told if event["type"] == "decision_made") == "Looking into the documents."
    (run,) = await exchanges(elif_, told[0]["conversation"])
    await elif_.post(f"/v1/runs/{run}/cancel")


async def test_an_answer_says_what_it_rests_on(client: SignIn) -> None:
    sander = await client(SANDER)
    with_sources = await sander.post("/v1/runs", question())
    grounding = at(with_sources, "answer", "grounding")
    assert at(grounding, "knowledge_used") is True
    assert 0 < int(text(grounding, "passages_cited")) <= int(text(grounding, "passages_shown"))
    assert 0 < int(text(grounding, "sentences_cited")) <= int(text(grounding, "sentences"))
    assert "%" not in text(grounding, "says")
    without = await sander.post("/v1/runs", question("Good morning", use_knowledge=False))
    assert "were not searched" in text(without, "answer", "grounding", "says")


async def test_an_approval_says_for_whom_what_follows_and_who_decided(client: SignIn) -> None:
    elif_, noor = await client(ELIF), await client(NOOR)
    waiting = await elif_.post("/v1/runs", question(REFUND, use_knowledge=False))
    path = f"/v1/approvals/{text(waiting, 'pending_approval', 'approval')}"
    before = await noor.get(path)
    assert before["on_behalf_of_name"] == "Elif Kaya"
    assert text(before, "then", "undo").startswith("The agent cannot undo it. Until ")
    assert isinstance(before["told"], list)
    assert {text(argument, "text") for argument in before["told"]} >= {"A-20398", "0.01"}
    await noor.post(f"{path}/decision", {"verdict": "denied", "reason": "The carrier pays for it."})
    after = await elif_.get(path)
    assert after["approver_name"] == "Noor Haddad"
    assert text(after, "decided").startswith("Noor Haddad said no on ")
    assert "The carrier pays for it." in text(after, "decided")


async def test_the_views_are_what_their_rebuild_is(stack: Stack) -> None:
    async with open_store(stack.folder / "mandate.db") as store:
        for view in (RUNS, APPROVALS, FLAGS):
            assert await rebuild_differences(store.platform, view) == []
