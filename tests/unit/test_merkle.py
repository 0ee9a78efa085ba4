"""Merkle trees, against the definition that RFC 6962 gives in section 2.1, which is written out here."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.merkle import leaf_hash, levels_of, path_of, root_by_path, root_of

ENTRIES = st.lists(st.binary(max_size=8), max_size=40)


def by_definition(entries: list[bytes]) -> bytes:
    if len(entries) <= 1:
        return hashlib.sha256(b"\x00" + entries[0] if entries else b"").digest()
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return hashlib.sha256(b"\x01" + by_definition(entries[:split]) + by_definition(entries[split:])).digest()


@given(ENTRIES)
def test_the_root_is_that_of_the_definition(entries: list[bytes]) -> None:
    assert root_of([leaf_hash(entry) for entry in entries]) == by_definition(entries)


@given(ENTRIES.filter(bool), st.data())
def test_a_path_leads_to_the_root_and_no_other_does(entries: list[bytes], data: st.DataObject) -> None:
    leaves = [leaf_hash(entry) for entry in entries]
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = path_of(levels_of(leaves), index)
    root = root_of(leaves)
    assert root_by_path(leaves[index], index, len(leaves), path) == root
    assert root_by_path(leaf_hash(b"not among the entries"), index, len(leaves), path) != root
    assert root_by_path(leaves[index], index, len(leaves), [*path, b"\x00" * 32]) is None
    if path:
        assert root_by_path(leaves[index], index, len(leaves), path[:-1]) != root
        changed = [bytes([path[0][0] ^ 1]) + path[0][1:], *path[1:]]
        assert root_by_path(leaves[index], index, len(leaves), changed) != root


@pytest.mark.parametrize(("index", "size"), [(-1, 1), (1, 1), (0, 0)])
def test_no_path_leads_from_outside_of_the_list(index: int, size: int) -> None:
    assert root_by_path(leaf_hash(b""), index, size, []) is None


def test_a_leaf_cannot_pass_for_an_inner_node() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert root_of([left, right]) != leaf_hash(left + right)
