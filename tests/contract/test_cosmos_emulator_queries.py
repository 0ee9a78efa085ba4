"""The Cosmos DB emulator's queries, with the unmodified SDK: scope, language, order, pages, search."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy
from cosmos_emulated import Cosmos, cosmos, pages_of, rows, status_of

from emulators.cosmos.keys import KeyDefinition

HPK = KeyDefinition((("t",), ("u",)), "MultiHash")
MIDDLE = f"{HPK.epk(['T1'])}20"
"""A place inside the interval of the tenant T1; each level's hash begins with 00 to 3F."""

INDEXING = {
    "includedPaths": [{"path": "/*"}],
    "excludedPaths": [{"path": "/secret/?"}],
    "compositeIndexes": [[{"path": "/group", "order": "ascending"}, {"path": "/n", "order": "descending"}]],
}
DATA: list[dict[str, Any]] = [
    {"id": "1", "n": 1, "group": "b", "tags": ["x", "y"], "owner": {"name": "Ada", "age": 3}},
    {"id": "2", "n": 2, "group": "a", "tags": ["y"], "owner": {"name": "Bo", "age": 30}, "flag": True},
    {"id": "3", "n": 3.5, "group": "b", "tags": [], "flag": False, "none": None},
    {"id": "4", "n": "4", "group": "a", "tags": [{"k": 1}, 5], "odd name": 1},
    {"id": "5", "group": "c", "secret": 1, "nested": {"list": [{"v": 1}, {"v": 2}]}},
    {"id": "6", "n": True, "group": "c"},
]


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Cosmos]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANDATE_ENVIRONMENT", "local")
        async with cosmos(tmp_path_factory.mktemp("cosmos")) as opened:
            yield opened


@pytest.fixture(scope="module")
async def filled(world: Cosmos) -> ContainerProxy:
    """Return a container with the data under two users of T1, and once more under another tenant."""
    container = await world.container(indexing_policy=INDEXING)
    for tenant in ("T1", "T2"):
        for row in DATA:
            await container.create_item({**row, "t": tenant, "u": f"u{int(row['id']) % 2}"})
    return container


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("c.n = 1", "1"),
        ("c.n != 1", "23"),
        ("c.n > 1", "23"),
        ("c.n >= 2 AND c.n <= 3.5", "23"),
        ("c.n BETWEEN 1 AND 2", "12"),
        ("c.n NOT BETWEEN 1 AND 2", "3"),
        ("c.n = '4'", "4"),
        ("c.n > '3'", "4"),
        ("c.n < '5'", "4"),
        ("c.tags > ''", ""),
        ("c.n != '5'", "4"),
        ("c.n = true", "6"),
        ("c.n IN (1, 2, '4')", "124"),
        ("c.n NOT IN (1, 2)", "3"),
        ("NOT (c.n = 1)", "23"),
        ("c.group = 'a' OR c.group = 'c'", "2456"),
        ("c.group = 'a' OR c.n = 1 AND c.group = 'b'", "124"),
        ("(c.group = 'a' OR c.n = 1) AND c.group = 'b'", "1"),
        ("IS_DEFINED(c.n)", "12346"),
        ("NOT IS_DEFINED(c.n)", "5"),
        ("IS_NULL(c.none)", "3"),
        ("c.none = null", "3"),
        ("c.flag", "2"),
        ("c.flag = false", "3"),
        ("NOT c.flag", "3"),
        ("STARTSWITH(c.owner.name, 'A')", "1"),
        ("STARTSWITH(c.owner.name, 'a', true)", "1"),
        ("ARRAY_CONTAINS(c.tags, 'y')", "12"),
        ("ARRAY_CONTAINS(c.tags, 5)", "4"),
        ("""ARRAY_CONTAINS(c.tags, '{"k":1}')""", ""),
        ("""ARRAY_CONTAINS(c.owner.name, 'Ada')""", ""),
        ("ARRAY_CONTAINS(['a', 'c'], c.group)", "2456"),
        ("ARRAY_LENGTH(c.tags) = 0", "3"),
        ("ARRAY_LENGTH(c.tags) > 0", "124"),
        ("EXISTS(SELECT VALUE x FROM x IN c.tags WHERE x = 'x')", "1"),
        ("EXISTS(SELECT VALUE x FROM x IN c.nested.list WHERE x.v > 1 AND c.group = 'c')", "5"),
        ("EXISTS(SELECT VALUE x FROM x IN c.tags WHERE ARRAY_CONTAINS(['x', 'z'], x))", "1"),
        ("EXISTS(SELECT VALUE x FROM x IN c.group WHERE x = 'a')", ""),
        ("NOT EXISTS(SELECT VALUE x FROM x IN c.tags)", "356"),
        ("ARRAY_CONTAINS(c.group, 'a')", ""),
        ("ARRAY_LENGTH(c.group) = 0", ""),
        ("STARTSWITH(c.n, '4')", "4"),
        ("c.id = '2' OR c.owner.name = 'Ada'", "12"),
        ("c['odd name'] = 1", "4"),
        ('c["owner"]["name"] = "Bo"', "2"),
        ("c.tags[0] = 'x'", "1"),
        ("c.owner.age < 10", "1"),
        ("c.owner = {o}", "1"),
        ("LOWER(c.owner.name) = 'ada'", "1"),
        ("1 = c.n", "1"),
        ("2 > c.n", "1"),
        ("c.id IN ('1', '6', '9')", "16"),
        ("c.id > '4'", "56"),
        ("c.t = 'T2'", ""),
        ("c.missing = c.missing", ""),
        ("c.n = 1 OR c.missing = 1", "1"),
        ("NOT (c.missing = 1)", ""),
    ],
)
async def test_where_keeps_what_is_true_and_only_that(filled: ContainerProxy, where: str, expected: str) -> None:
    query = f"SELECT VALUE c.id FROM c WHERE {where.replace('{o}', '@o')}"
    owner = {"name": "Ada", "age": 3}
    found = await rows(filled, query, ["T1"], o=owner)
    assert "".join(sorted(found)) == expected
    assert await rows(filled, query.replace("VALUE c.id", "VALUE COUNT(1)"), ["T1"], o=owner) == [len(expected)]
    counted = await rows(filled, f"{query} ORDER BY c.id", ["T1"], o=owner)
    assert "".join(counted) == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [(["T1", "u1"], "135"), (["T1"], "123456"), (["T2"], "123456"), (["T3"], ""), (["T1", "u9"], "")],
)
async def test_a_key_or_its_beginning_limits_a_query(filled: ContainerProxy, key: list[str], expected: str) -> None:
    found = await rows(filled, "SELECT c.t, c.id FROM c", key)
    assert "".join(sorted(row["id"] for row in found)) == expected
    assert {row["t"] for row in found} <= {key[0]}
    assert await rows(filled, "SELECT VALUE COUNT(1) FROM c", key) == [len(expected)]


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("c.id, c.owner.name", {"id": "2", "name": "Bo"}),
        ("c.id AS a, c.missing, 5 AS five", {"a": "2", "five": 5}),
        ("VALUE c.owner", {"name": "Bo", "age": 30}),
        ("VALUE [c.id, c.n]", ["2", 2]),
        ("VALUE c.n", 2),
        ("c", None),
    ],
)
async def test_select_shapes_what_is_returned(filled: ContainerProxy, select: str, expected: Any) -> None:
    (found,) = await rows(filled, f"SELECT {select} FROM c WHERE c.id = @id", ["T1"], id="2")
    if expected is None:
        assert found["c"]["_etag"]
    else:
        assert found == expected


async def test_what_is_undefined_is_left_out(filled: ContainerProxy) -> None:
    assert sorted(await rows(filled, "SELECT VALUE c.owner.name FROM root c", ["T1"])) == ["Ada", "Bo"]


async def test_an_order_goes_by_type_and_then_by_value(filled: ContainerProxy) -> None:
    up = await rows(filled, "SELECT VALUE c.id FROM c ORDER BY c.n", ["T1"])
    assert up == ["5", "6", "1", "2", "3", "4"]  # undefined, boolean, numbers, text
    assert await rows(filled, "SELECT VALUE c.id FROM c ORDER BY c.n DESC", ["T1"]) == up[::-1]


async def test_an_order_by_several_properties_needs_its_composite_index(filled: ContainerProxy) -> None:
    query = "SELECT VALUE c.id FROM c WHERE c.id IN ('1', '2', '3', '4') ORDER BY c.group {}, c.n {}"
    assert await rows(filled, query.format("ASC", "DESC"), ["T1"]) == ["4", "2", "3", "1"]
    assert await rows(filled, query.format("DESC", "ASC"), ["T1"]) == ["1", "3", "2", "4"]
    for wrong in (query.format("ASC", "ASC"), "SELECT * FROM c ORDER BY c.n, c.group"):
        assert await refusal(filled, wrong) == 400


async def test_an_order_by_what_is_not_indexed_is_refused(filled: ContainerProxy) -> None:
    assert await refusal(filled, "SELECT * FROM c ORDER BY c.secret") == 400


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize(
    "query",
    [
        "SELECT VALUE c.id FROM c",
        "SELECT VALUE c.id FROM c ORDER BY c.n",
        "SELECT VALUE c.id FROM c ORDER BY c.n DESC",
        "SELECT VALUE c.id FROM c ORDER BY c.group DESC, c.n ASC",
        "SELECT VALUE c.id FROM c WHERE c.n != 1 OR NOT IS_DEFINED(c.n) ORDER BY c.group",
        "SELECT TOP 4 VALUE c.id FROM c ORDER BY c.n",
        "SELECT TOP @top VALUE c.id FROM c",
        "SELECT VALUE c.id FROM c ORDER BY c.n OFFSET 1 LIMIT 4",
    ],
)
async def test_pages_hold_every_row_once(filled: ContainerProxy, query: str, size: int) -> None:
    whole = await rows(filled, query, ["T1"], top=3)
    token: str | None = None
    found: list[Any] = []
    pages = 0
    while pages == 0 or token:
        page = pages_of(filled, query, ["T1"], size, token, top=3)
        found += [row async for row in await anext(page)]
        token = page.continuation_token
        pages += 1
    assert found == whole
    assert pages == -(-len(whole) // size)


async def test_pages_stay_right_while_others_write(world: Cosmos) -> None:
    container = await world.container()
    for number in range(4):
        await container.create_item({"id": str(number), "t": "T1", "u": "u", "n": number * 10})
    pager = pages_of(container, "SELECT VALUE c.n FROM c ORDER BY c.n", ["T1", "u"], 2)
    assert [row async for row in await anext(pager)] == [0, 10]
    await container.create_item({"id": "early", "t": "T1", "u": "u", "n": 5})
    await container.create_item({"id": "late", "t": "T1", "u": "u", "n": 25})
    assert [row async for row in await anext(pager)] == [20, 25]
    assert [row async for row in await anext(pager)] == [30]


async def test_a_continuation_belongs_to_its_query(filled: ContainerProxy) -> None:
    page = pages_of(filled, "SELECT * FROM c", ["T1", "u1"], 1)
    await anext(page)
    for other, key in (("SELECT * FROM c WHERE c.n = 1", ["T1", "u1"]), ("SELECT * FROM c", ["T1", "u0"])):
        again = pages_of(filled, other, key, 1, page.continuation_token)
        assert await status_of(anext(again)) == (400, 0)


async def test_plain_filters_may_cross_partitions_and_nothing_else_may(filled: ContainerProxy) -> None:
    assert sorted(await rows(filled, "SELECT VALUE c.t FROM c WHERE c.n = 1", None)) == ["T1", "T2"]
    for query in ("SELECT * FROM c ORDER BY c.n", "SELECT TOP 1 * FROM c", "SELECT VALUE COUNT(1) FROM c"):
        assert (await status_of(rows(filled, query, None)))[0] == 501


async def refusal(container: ContainerProxy, query: str, **values: Any) -> int:
    return (await status_of(rows(container, query, ["T1"], **values)))[0]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM c JOIN x IN c.tags",
        "SELECT DISTINCT c.n FROM c",
        "SELECT c.n FROM c GROUP BY c.n",
        "SELECT * FROM c WHERE c.n LIKE '%a'",
        "SELECT * FROM c WHERE c.n + 1 = 2",
        "SELECT * FROM c WHERE c.a || c.b = 'x'",
        "SELECT * FROM c WHERE (c.a ?? c.b) = 1",
        "SELECT VALUE {'a': c.n} FROM c",
        "SELECT VALUE SUM(c.n) FROM c",
        "SELECT VALUE COUNT(c.n) FROM c",
        "SELECT * FROM c WHERE CONTAINS(c.n, 'a')",
        "SELECT * FROM c WHERE udf.f(c.n)",
        "SELECT * FROM c WHERE EXISTS(SELECT VALUE 1 FROM x IN c.tags)",
        "SELECT * FROM c WHERE @n.a = 1",
        "SELECT * FROM c ORDER BY c.tags",
        "SELECT * FROM c WHERE c[c.n] = 1",
        "SELECT * FROM c WHERE EXISTS(SELECT VALUE y FROM x IN c.tags)",
    ],
)
async def test_what_the_service_knows_and_the_emulator_does_not_is_501(filled: ContainerProxy, query: str) -> None:
    assert await refusal(filled, query, n={"a": 1}) == 501


@pytest.mark.parametrize(
    "query",
    [
        "SELECT",
        "SELECT * WHERE c.n = 1",
        "SELECT * FROM c WHERE",
        "SELECT * FROM c WHERE c.n = @missing",
        "SELECT * FROM c WHERE d.n = 1",
        "SELECT * FROM c WHERE c.n = 1 c.m = 2",
        "SELECT * FROM c WHERE c.n = 'open",
        "SELECT * FROM c ORDER BY 1",
        "SELECT * FROM c ORDER BY LOWER(c.n)",
        "SELECT TOP -1 * FROM c",
        "SELECT TOP 1 * FROM c OFFSET 0 LIMIT 1",
        "SELECT TOP @t * FROM c",
        "SELECT TOP 'a' * FROM c",
        "SELECT c. FROM c",
        "SELECT c.n c.m FROM c",
        "SELECT TOP 1 c.n, FROM c",
        "SELECT * FROM c WHERE IS_NULL(c.n",
        "SELECT * FROM c WHERE c.n NOT 5",
        "SELECT c.n, c.n FROM c",
        "SELECT * FROM c WHERE IS_NULL(c.n, 1)",
        "SELECT * FROM c ORDER BY RANK c.n",
    ],
)
async def test_what_is_wrong_is_400(filled: ContainerProxy, query: str) -> None:
    assert await refusal(filled, query, t="1") == 400


async def test_a_split_inside_a_tenant_shows_what_a_client_then_gets(world: Cosmos) -> None:
    """Over several physical partitions the SDK puts answers one behind the other (rule 7)."""
    container = await world.container()
    for number in range(12):
        await container.create_item({"id": str(number), "t": "T1", "u": f"u{number}", "n": number})
    query = "SELECT TOP 3 VALUE c.n FROM c ORDER BY c.n"
    assert await rows(container, query, ["T1"]) == [0, 1, 2]
    old = world.running.emulator.catalogue.container("d", container.id)
    await world.running.emulator.catalogue.split(old, MIDDLE)
    assert sorted(await rows(container, "SELECT VALUE c.n FROM c", ["T1"])) == list(range(12))
    found = await rows(container, query, ["T1"])
    assert len(found) == 6
    assert await rows(container, "SELECT VALUE COUNT(1) FROM c", ["T1"]) == [12]
    changed = [row["n"] async for row in container.query_items_change_feed(start_time="Beginning")]
    assert sorted(changed) == list(range(12))
    for number in range(12):
        assert (await container.read_item(str(number), ["T1", f"u{number}"]))["n"] == number
        assert await rows(container, query, ["T1", f"u{number}"]) == [number]


VECTORS = {
    "vector_embedding_policy": {
        "vectorEmbeddings": [
            {"path": "/v", "dataType": "float32", "dimensions": 3, "distanceFunction": "cosine"},
            {"path": "/e", "dataType": "float32", "dimensions": 2, "distanceFunction": "euclidean"},
        ]
    },
    "full_text_policy": {"defaultLanguage": "en-US", "fullTextPaths": [{"path": "/text", "language": "en-US"}]},
    "indexing_policy": {
        "includedPaths": [{"path": "/*"}],
        "excludedPaths": [{"path": "/v/*"}, {"path": "/e/*"}],
        "vectorIndexes": [{"path": "/v", "type": "quantizedFlat"}],
        "fullTextIndexes": [{"path": "/text"}],
    },
}
PASSAGES: list[dict[str, Any]] = [
    {"id": "1", "v": [1, 0, 0], "e": [0, 0], "text": "Refunds are paid within five days."},
    {
        "id": "2",
        "v": [0.8, 0.6, 0],
        "e": [1, 0],
        "text": "A refund, a refund! The refund was refunded.",
    },
    {"id": "3", "v": [0, 1, 0], "e": [3, 0], "text": "Parcels travel by train."},
    {"id": "4", "v": [0, 0, 1], "e": [2, 0], "text": "Five trains run each day; café included."},
]


@pytest.fixture(scope="module")
async def passages(world: Cosmos) -> ContainerProxy:
    container = await world.container(**VECTORS)
    for tenant in ("T1", "T2"):
        for row in PASSAGES:
            await container.create_item({**row, "t": tenant, "u": "u1"})
    for number in range(50):  # another tenant's words must not weigh in
        await container.create_item({"id": f"x{number}", "t": "T3", "u": "u1", "text": "refund"})
    return container


async def test_the_nearest_vectors_come_first(passages: ContainerProxy) -> None:
    query = "SELECT TOP 3 c.id, VectorDistance(c.v, @q) AS near FROM c WHERE c.t = @t ORDER BY VectorDistance(c.v, @q)"
    found = await rows(passages, query, ["T1"], q=[1, 0.1, 0], t="T1")
    assert [row["id"] for row in found] == ["1", "2", "3"]
    assert found[0]["near"] == pytest.approx(0.995, abs=0.001)
    euclidean = "SELECT VALUE c.id FROM c ORDER BY VectorDistance(c.e, @q)"
    assert await rows(passages, euclidean, ["T1"], q=[0, 0]) == ["1", "2", "4", "3"]


async def test_words_are_found_by_their_stems(passages: ContainerProxy) -> None:
    for function, words, expected in [
        ("FullTextContains", "'refunds'", ["1", "2"]),
        ("FullTextContains", "'five days'", ["1"]),
        ("FullTextContains", "'CAFÉ'", ["4"]),
        ("FullTextContainsAll", "'five', 'train'", ["4"]),
        ("FullTextContainsAny", "'parcel', 'cafe'", ["3", "4"]),
    ]:
        query = f"SELECT VALUE c.id FROM c WHERE {function}(c.text, {words})"
        assert await rows(passages, query, ["T1"]) == expected, words


async def test_what_says_a_word_more_often_ranks_higher(passages: ContainerProxy) -> None:
    query = "SELECT TOP 2 VALUE c.id FROM c ORDER BY RANK FullTextScore(c.text, @word)"
    assert await rows(passages, query, ["T1"], word="refund") == ["2", "1"]


async def test_how_rare_a_word_is_does_not_depend_on_other_tenants(passages: ContainerProxy) -> None:
    """Among its own three texts `alpha` is the rarer word; among all of the container both would be rare."""
    for number, text in enumerate(["alpha one two six", "beta beta three six", "beta four five six"]):
        await passages.create_item({"id": str(number), "t": "T4", "u": "u1", "text": text})
    query = "SELECT TOP 2 VALUE c.id FROM c ORDER BY RANK FullTextScore(c.text, 'alpha', 'beta')"
    assert await rows(passages, query, ["T4"]) == ["0", "1"]


async def test_two_rankings_are_fused(passages: ContainerProxy) -> None:
    fused = "SELECT VALUE c.id FROM c ORDER BY RANK RRF(VectorDistance(c.v, @q), FullTextScore(c.text, 'train'){})"
    found = await rows(passages, fused.format(""), ["T1"], q=[0, 1, 0])
    assert found[0] == "3"  # first of both
    assert await rows(passages, fused.format(", [1, 0]"), ["T1"], q=[0, 1, 0]) == ["3", "2", "1", "4"]
    turned = await rows(passages, fused.format(", [-1, 0]"), ["T1"], q=[0, 1, 0])
    assert turned[-1] == "3"


async def test_a_ranking_is_paged_as_any_order(passages: ContainerProxy) -> None:
    query = "SELECT VALUE c.id FROM c ORDER BY RANK RRF(VectorDistance(c.v, @q), FullTextScore(c.text, 'train'))"
    pager = pages_of(passages, query, ["T1"], 3, q=[0, 1, 0])
    paged = [[row async for row in page] async for page in pager]
    assert [len(page) for page in paged] == [3, 1]
    assert [row for page in paged for row in page] == await rows(passages, query, ["T1"], q=[0, 1, 0])


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("SELECT * FROM c ORDER BY VectorDistance(c.v, @q) DESC", 400),
        ("SELECT * FROM c ORDER BY VectorDistance(c.text, @q)", 400),
        ("SELECT * FROM c ORDER BY VectorDistance(c.e, @q)", 400),
        ("SELECT * FROM c ORDER BY VectorDistance(c.v, @q), c.id", 400),
        ("SELECT * FROM c ORDER BY RANK FullTextScore(c.text, 'a') DESC", 400),
        ("SELECT * FROM c ORDER BY RANK FullTextScore(c.other, 'a')", 400),
        ("SELECT * FROM c WHERE FullTextContains(c.other, 'a')", 400),
        ("SELECT * FROM c ORDER BY FullTextScore(c.text, 'a')", 400),
        ("SELECT FullTextScore(c.text, 'a') AS s FROM c", 400),
        ("SELECT RRF(c.a, c.b) AS s FROM c", 400),
        ("SELECT * FROM c ORDER BY RANK RRF(FullTextScore(c.text, 'a'))", 400),
        ("SELECT * FROM c ORDER BY RANK RRF(FullTextScore(c.text, 'a'), c.n)", 400),
        ("SELECT * FROM c ORDER BY RANK RRF(FullTextScore(c.text, 'a'), [1])", 400),
        ("SELECT * FROM c ORDER BY RANK RRF(VectorDistance(c.v, @q), FullTextScore(c.text, 'a'), ['a', 'b'])", 400),
        ("SELECT * FROM c ORDER BY RANK FullTextScore(c.text, 5)", 400),
        ("SELECT * FROM c ORDER BY VectorDistance(c.v, 'a')", 400),
        ("SELECT * FROM c ORDER BY RANK RRF(VectorDistance(c.v, @q), FullTextScore(c.text, 'a'), [1])", 400),
        ("SELECT * FROM c ORDER BY RANK RRF(VectorDistance(c.v, @q), FullTextScore(c.text, 'a'), [1, 2, 3])", 400),
        ("SELECT * FROM c ORDER BY VectorDistance(c.v, @q, 5)", 501),
    ],
)
async def test_a_search_that_the_service_refuses_is_refused(passages: ContainerProxy, query: str, status: int) -> None:
    for tenant in ("T1", "nobody"):
        assert (await status_of(rows(passages, query, [tenant], q=[1, 0, 0])))[0] == status


async def test_an_item_without_a_vector_has_no_place_in_an_order_by_distance(world: Cosmos) -> None:
    container = await world.container(**VECTORS)
    await container.create_item({"id": "1", "t": "T1", "u": "u1"})
    assert await refusal(container, "SELECT * FROM c ORDER BY VectorDistance(c.v, @q)", q=[1, 0, 0]) == 501
    for wrong in ([1, 0], [1, 0, "0"]):
        assert await status_of(container.create_item({"id": "2", "t": "T1", "u": "u1", "v": wrong})) == (400, 0)


async def test_what_was_changed_is_found_by_its_new_words(world: Cosmos) -> None:
    container = await world.container(**VECTORS)
    await container.create_item({"id": "1", "t": "T1", "u": "u1", "text": "old words", "v": [1, 0, 0]})
    await container.patch_item("1", ["T1", "u1"], [{"op": "set", "path": "/text", "value": "new words"}])
    await container.create_item({"id": "2", "t": "T1", "u": "u1", "text": "other", "v": [1, 0, 0]})
    query = "SELECT TOP 1 VALUE c.id FROM c ORDER BY RANK FullTextScore(c.text, @word)"
    assert await rows(container, query, ["T1"], word="new") == ["1"]
    assert await rows(container, "SELECT VALUE c.id FROM c WHERE FullTextContains(c.text, 'old')", ["T1"]) == []
    await container.delete_item("1", ["T1", "u1"])
    assert await rows(container, query, ["T1"], word="new") == ["2"]
