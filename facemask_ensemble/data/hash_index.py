"""Near neighbours among 64-bit hashes, without comparing all pairs."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

BITS = 64
WIDEST = 22  # bits of a band: a table of all its values is still small
AT_A_TIME = 4_000_000  # candidates compared together


class Joined:
    """Which codes and queries are known to belong together, and need not be compared again.

    Args:
        codes: a number a code; equal ones belong together.
        queries: the same for the queries.
    """

    def __init__(self, codes: np.ndarray, queries: np.ndarray) -> None:
        self.codes, self.queries, self.version = codes, queries, 0

    def update(self, codes: np.ndarray, queries: np.ndarray) -> None:
        """Take note of new groups."""
        self.codes, self.queries, self.version = codes, queries, self.version + 1


def neighbours(
    codes: np.ndarray, queries: np.ndarray, distance: int, joined: Joined | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Find every query and code that differ in at most `distance` bits; a pair may come more than once.

    Multi-index hashing (M. Norouzi, A. Punjani, D. Fleet, "Fast Search in Hamming Space with Multi-Index Hashing",
    CVPR 2012): of m bands of bits, two hashes that differ in at most d bits differ in at most d // m in one of them. So
    every band's values, and those few flips away, are looked up in a table, and only what is found there is compared.

    Args:
        codes: uint64 (n,).
        queries: uint64 (m,).
        distance: in bits.
        joined: pairs that it knows to belong together may be passed over; to be updated between two yields.

    Yields:
        Places of queries and of codes.
    """
    bands = max(-(-BITS // WIDEST), (distance + 3) // 3)  # at most two flips a band
    limits = np.linspace(0, BITS, bands + 1).astype(int)
    for low, high in zip(limits[:-1], limits[1:], strict=True):
        width = int(high - low)
        table = _Table(_band(codes, low, width), width, joined)
        values = _band(queries, low, width)
        order = np.argsort(values, kind="stable")  # neighbours in the table stay neighbours in memory
        values = values[order]
        for flips in range(distance // bands + 1):
            for places in combinations(range(width), flips):
                flipped = values ^ np.uint32(sum(1 << place for place in places))
                for query, code in table.candidates(flipped, order):
                    near = np.bitwise_count(queries[query] ^ codes[code]) <= distance
                    if near.any():
                        yield query[near], code[near]


def _band(codes: np.ndarray, low: int, width: int) -> np.ndarray:
    return ((codes >> np.uint64(low)) & np.uint64((1 << width) - 1)).astype(np.uint32)


class _Table:
    """Where each value of a band occurs."""

    def __init__(self, values: np.ndarray, width: int, joined: Joined | None) -> None:
        self.order = np.argsort(values, kind="stable").astype(np.int32)
        self.count = np.bincount(values, minlength=1 << width).astype(np.int32)
        self.start = np.cumsum(self.count, dtype=np.int32) - self.count
        self.occupied = self.count > 0
        self.joined, self.version = joined, 0

    def candidates(self, values: np.ndarray, queries: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Pair queries of these values with the codes of equal values, some millions at a time."""
        hits = self._unjoined(np.flatnonzero(self.occupied[values]), values, queries)
        while len(hits):
            ends = np.cumsum(self.count[values[hits]], dtype=np.int64)
            end = max(1, int(np.searchsorted(ends, AT_A_TIME, side="right")))
            part, ends = hits[:end], ends[:end]
            many = self.count[values[part]]
            first = np.repeat(self.start[values[part]] - (ends - many), many)
            yield np.repeat(queries[part], many), self.order[first + np.arange(ends[-1])]
            hits = self._unjoined(hits[end:], values, queries)

    def _unjoined(self, hits: np.ndarray, values: np.ndarray, queries: np.ndarray) -> np.ndarray:
        """Leave out the queries whose codes all belong together with them."""
        if self.joined is None or not self.joined.version:
            return hits
        if self.version != self.joined.version:
            self.version = self.joined.version
            groups, filled = self.joined.codes[self.order], np.flatnonzero(self.occupied)
            self.low, self.high = np.empty((2, len(self.occupied)), groups.dtype)
            self.low[filled] = np.minimum.reduceat(groups, self.start[filled])
            self.high[filled] = np.maximum.reduceat(groups, self.start[filled])
        own, found = self.joined.queries[queries[hits]], values[hits]
        return hits[(self.low[found] != own) | (self.high[found] != own)]
