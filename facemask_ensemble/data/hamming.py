"""Near neighbours among 64-bit hashes, without comparing all pairs."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

BITS = 64
WIDEST = 22  # bits of a band: a table of all its values is still small
AT_A_TIME = 4_000_000  # candidates compared together


def neighbours(codes: np.ndarray, queries: np.ndarray, distance: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Find every query and code that differ in at most `distance` bits; a pair may come more than once.

    Multi-index hashing (M. Norouzi, A. Punjani, D. Fleet, "Fast Search in Hamming Space with Multi-Index Hashing",
    CVPR 2012): of m bands of bits, two hashes that differ in at most d bits differ in at most d // m in one of them. So
    every band's values, and those few flips away, are looked up in a table, and only what is found there is compared.

    Args:
        codes: uint64 (n,).
        queries: uint64 (m,).
        distance: in bits.

    Yields:
        Places of queries and of codes.
    """
    bands = max(-(-BITS // WIDEST), (distance + 3) // 3)  # at most two flips a band
    limits = np.linspace(0, BITS, bands + 1).astype(int)
    for low, high in zip(limits[:-1], limits[1:], strict=True):
        width = int(high - low)
        table = _Table(_band(codes, low, width), width)
        values = _band(queries, low, width)
        order = np.argsort(values, kind="stable")  # neighbours in the table stay neighbours in memory
        values = values[order]
        for flips in range(distance // bands + 1):
            for places in combinations(range(width), flips):
                flipped = values ^ np.uint32(sum(1 << place for place in places))
                for query, code in table.candidates(flipped):
                    query = order[query]
                    near = np.bitwise_count(queries[query] ^ codes[code]) <= distance
                    if near.any():
                        yield query[near], code[near]


def _band(codes: np.ndarray, low: int, width: int) -> np.ndarray:
    return ((codes >> np.uint64(low)) & np.uint64((1 << width) - 1)).astype(np.uint32)


class _Table:
    """Where each value of a band occurs."""

    def __init__(self, values: np.ndarray, width: int) -> None:
        self.order = np.argsort(values, kind="stable").astype(np.int32)
        self.count = np.bincount(values, minlength=1 << width).astype(np.int32)
        self.start = np.cumsum(self.count, dtype=np.int32) - self.count
        self.occupied = self.count > 0

    def candidates(self, values: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Pair the places of values with those of the table's equal values, some millions at a time."""
        hits = np.flatnonzero(self.occupied[values])
        counts = self.count[values[hits]]
        ends = np.cumsum(counts, dtype=np.int64)
        begin = 0
        while begin < len(hits):
            done = ends[begin - 1] if begin else 0
            end = max(begin + 1, int(np.searchsorted(ends, done + AT_A_TIME, side="right")))
            part, many = hits[begin:end], counts[begin:end]
            first = np.repeat(self.start[values[part]] - (ends[begin:end] - many - done), many)
            yield np.repeat(part, many), self.order[first + np.arange(many.sum())]
            begin = end
