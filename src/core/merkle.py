"""Merkle trees as RFC 6962, section 2.1, has them: one hash for a list, and short proofs of what is in it.

Leaves and inner nodes are hashed with a byte of their own in front, so that neither can pass for the other.
"""

import hashlib
from collections.abc import Sequence


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of an entry of the list."""
    return hashlib.sha256(b"\x00" + data).digest()


def _node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the hash of a list, given those of its entries; that of nothing for an empty one."""
    return levels_of(leaves)[-1][0]


def levels_of(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """Return the whole tree, from the leaves up to the root."""
    levels = [list(leaves) or [hashlib.sha256().digest()]]
    while len(levels[-1]) > 1:
        levels.append(_above(levels[-1]))
    return levels


def path_of(levels: Sequence[Sequence[bytes]], index: int) -> list[bytes]:
    """Return what, with the entry at `index`, gives the root of a tree: the audit path, from the bottom up."""
    path = list[bytes]()
    for level in levels[:-1]:
        if (beside := index ^ 1) < len(level):
            path.append(level[beside])
        index >>= 1
    return path


def root_by_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root that a path leads to, as RFC 9162, section 2.1.3.2, has it; None if it does not fit the size."""
    if not 0 <= index < size:
        return None
    found, last = leaf, size - 1
    for beside in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            found = _node_hash(beside, found)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            found = _node_hash(found, beside)
        index, last = index >> 1, last >> 1
    return found if last == 0 else None


def _above(level: Sequence[bytes]) -> list[bytes]:
    """Return the level above; a last node without a neighbour goes up as it is."""
    above = [_node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
    return [*above, level[-1]] if len(level) % 2 else above
