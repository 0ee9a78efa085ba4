"""The account, its databases and containers, their throughput and ranges (rules 3, 4 and 8)."""

from collections.abc import Sequence
from http import HTTPStatus

import orjson

from emulators.cosmos.answers import Answer, answer, within
from emulators.cosmos.catalogue import Catalogue, Container
from emulators.cosmos.database import Database
from emulators.cosmos.documents import current_lsn
from emulators.cosmos.errors import CosmosError, bad, unknown
from emulators.cosmos.feeds import range_body, ranges_etag
from emulators.cosmos.requests import Request
from emulators.cosmos.values import Json, Object, at, check_keys, parse_object

_NO_DATA_ACTION = 5300
_OFFER_QUERY = "SELECT * FROM root r WHERE r.resource=@link"
_THROUGHPUT = 400


class Account:
    """What a client asks about anything but items."""

    def __init__(self, catalogue: Catalogue, database: Database) -> None:
        self._catalogue = catalogue
        self._database = database

    async def describe(self, request: Request) -> Answer:
        """Name the one region, at the address under which the client came."""
        url = f"https://{request.headers.get('host', '')}/"
        region: Json = [{"name": "Local", "databaseAccountEndpoint": url}]
        body: Object = {
            "id": "local",
            "_rid": "local",
            "writableLocations": region,
            "readableLocations": region,
            "enableMultipleWriteLocations": False,
            "userConsistencyPolicy": {"defaultConsistencyLevel": "Session"},
        }
        return answer(HTTPStatus.OK, body)

    async def databases(self, request: Request) -> Answer:
        if request.method == "GET":
            found: list[Json] = [*self._catalogue.databases]
            return answer(HTTPStatus.OK, {"_rid": "", "Databases": found, "_count": len(found)})
        _refuse_query(request)
        _administer(request)
        body = await self._catalogue.create_database(parse_object(request.body))
        return answer(HTTPStatus.CREATED, body, etag=str(body["_etag"]))

    async def database(self, request: Request) -> Answer:
        name = request.parts[1]
        if request.method == "GET":
            body = self._catalogue.database(name)
            return answer(HTTPStatus.OK, body, etag=str(body["_etag"]))
        _administer(request)
        await self._catalogue.delete_database(name)
        return Answer(HTTPStatus.NO_CONTENT)

    async def containers(self, request: Request) -> Answer:
        name = request.parts[1]
        if request.method == "GET":
            found: list[Json] = [container.body for container in self._catalogue.containers(name)]
            rid = self._catalogue.database(name)["_rid"]
            return answer(HTTPStatus.OK, {"_rid": rid, "DocumentCollections": found, "_count": len(found)})
        _refuse_query(request)
        _administer(request)
        container = await self._catalogue.create_container(name, parse_object(request.body), _throughput(request))
        return await self._shown(container, HTTPStatus.CREATED)

    async def container(self, request: Request) -> Answer:
        found = self._catalogue.container(request.parts[1], request.parts[3])
        if request.method == "GET":
            return await self._shown(found, HTTPStatus.OK)
        _administer(request)
        if request.method == "PUT":
            return await self._shown(
                await self._catalogue.replace_container(found, parse_object(request.body)), HTTPStatus.OK
            )
        await self._catalogue.delete_container(found)
        return Answer(HTTPStatus.NO_CONTENT)

    async def ranges(self, request: Request) -> Answer:
        """List the physical ranges; 304 once the client knows them, or it would ask for ever (rule 8)."""
        found = self._catalogue.container(request.parts[1], request.parts[3], owner=True)
        etag = ranges_etag(found)
        lsn = await self._database.read(lambda connection: current_lsn(connection, found))
        headers = within(found, found.ranges[0], lsn, 1.0, etag)
        if request.headers.get("if-none-match") == etag:
            return Answer(HTTPStatus.NOT_MODIFIED, headers=headers)
        bodies: list[Json] = [range_body(found, part) for part in found.ranges]
        body: Object = {"_rid": found.rid, "PartitionKeyRanges": bodies, "_count": len(bodies)}
        return Answer(HTTPStatus.OK, orjson.dumps(body), headers)

    async def offers(self, request: Request) -> Answer:
        """Find the throughput of one container: the only query of offers that the SDK sends."""
        body = parse_object(request.body)
        check_keys(body, frozenset({"query", "parameters"}), "The query")
        link = at(body, ("parameters", 0, "value"))
        if body.get("query") != _OFFER_QUERY or at(body, ("parameters", 0, "name")) != "@link":
            raise unknown("any other query of offers")
        offers: list[Json] = [_offer(c) for c in self._all() if c.body["_self"] == link]
        return answer(HTTPStatus.OK, {"_rid": "", "Offers": offers, "_count": len(offers)})

    async def offer(self, request: Request) -> Answer:
        """Change the throughput of one container."""
        _administer(request)
        found = next((c for c in self._all() if _offer(c)["id"] == request.parts[1]), None)
        content = parse_object(request.body).get("content")
        if found is None or not isinstance(content, dict):
            raise bad("There is no such offer, or it has no content.")
        return answer(HTTPStatus.OK, _offer(await self._catalogue.replace_throughput(found, content)))

    def _all(self) -> Sequence[Container]:
        names = [str(database["id"]) for database in self._catalogue.databases]
        return [container for name in names for container in self._catalogue.containers(name)]

    async def _shown(self, container: Container, status: int) -> Answer:
        lsn = await self._database.read(lambda connection: current_lsn(connection, container))
        headers = within(container, container.ranges[0], lsn, 1.0, str(container.body["_etag"]))
        return Answer(status, orjson.dumps(container.body), headers)


def _administer(request: Request) -> None:
    """Roles of the data plane make no databases or containers (rule 2).

    Raises:
        CosmosError: 403/5300.
    """
    if not request.may_administer:
        message = "The request cannot be authorized by an Entra token with data roles: provision by template."
        raise CosmosError(HTTPStatus.FORBIDDEN, message, substatus=_NO_DATA_ACTION)


def _refuse_query(request: Request) -> None:
    if "x-ms-documentdb-isquery" in request.headers:
        raise unknown("queries of databases or containers")


def _throughput(request: Request) -> Object:
    autoscale = request.headers.get("x-ms-cosmos-offer-autopilot-settings")
    if autoscale is not None:
        return {"offerAutopilotSettings": parse_object(autoscale.encode())}
    return {"offerThroughput": int(request.headers.get("x-ms-offer-throughput", _THROUGHPUT))}


def _offer(container: Container) -> Object:
    rid = container.rid.rstrip("=").lower()
    return {
        "id": rid,
        "_rid": rid,
        "_self": f"offers/{rid}/",
        "offerVersion": "V2",
        "resource": container.body["_self"],
        "offerResourceId": container.rid,
        "content": container.throughput,
    }
