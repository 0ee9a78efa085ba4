"""Chapter: who is asking is proved, never claimed."""

from http import HTTPStatus

from mandate.api import Myself
from mandate.client import Client
from mandate.demo.report import expect
from mandate.demo.story import Story
from mandate.people import sign_in


async def everybody_signs_in(story: Story) -> str:
    """Everybody of both companies signs in, and is known with their company and roles."""
    people = [(company, user) for company in story.companies.values() for user in company.about.users]
    for company, user in people:
        client = await sign_in(story.session, story.url, user.username)
        me = Myself.model_validate(await client.get("/v1/me"))
        expect(me.tenant.name == company.about.name, f"{user.username} is in {me.tenant.name}")
        expect(set(me.roles) == set(user.roles), f"{user.username} has the roles {me.roles}")
    return f"{len(people)} people of {len(story.companies)} companies"


async def nobody_without_proof(story: Story) -> str:
    """No token, and a token whose signature is another's, are refused."""
    claims, other = (await story.person("elif")).token, (await story.person("dario")).token
    forged = f"{claims.rpartition('.')[0]}.{other.rpartition('.')[2]}"
    for token in ("", forged):
        answer = await Client(story.session, story.url, token, "nobody").ask("GET", "/v1/me")
        expect(answer.status == HTTPStatus.UNAUTHORIZED, f"answered {answer.status}")
    return "401 both times"


STEPS = (everybody_signs_in, nobody_without_proof)
