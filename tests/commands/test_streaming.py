"""Threads that read ahead and write behind."""

import threading
import time
from itertools import count, islice

import pytest

from twinsight.data.whole import batches
from twinsight.segmentation.streaming import ahead, threads


def test_results_come_in_order_and_not_too_far_ahead():
    begun = []

    def call(item):
        begun.append(item)
        time.sleep(0.01 * (item % 3 == 0))  # the first ones end last
        return item * item

    with threads() as pool:
        found = ahead(pool, call, count(), limit=5)  # without an end: only what is asked for may be begun
        assert list(islice(found, 10)) == [item * item for item in range(10)]
        assert 10 <= max(begun) + 1 <= 15
    with threads() as pool:
        assert list(ahead(pool, call, range(3), limit=5)) == [0, 1, 4]
        assert list(ahead(pool, call, [], limit=5)) == []


def test_what_a_call_raises_comes_when_its_turn_comes():
    def call(item):
        if item == 2:
            raise ValueError("two")
        return item

    with threads() as pool:
        found = ahead(pool, call, range(9), limit=4)
        assert [next(found), next(found)] == [0, 1]
        with pytest.raises(ValueError, match="two"):
            next(found)


def test_an_interrupt_ends_what_was_begun_and_begins_nothing_more():
    started, ended = [], []

    def call(item):
        started.append(item)
        time.sleep(0.05)
        ended.append(item)

    def interrupted():
        with threads() as pool:
            for _ in ahead(pool, call, range(100), limit=90):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert started
    assert sorted(started) == sorted(ended)
    assert len(started) < 50
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]


def gathered(text, size, limit):
    return ["".join(batch) for batch in batches(text, str.lower, lambda _: size, limit)]


@pytest.mark.parametrize(
    ("text", "size", "limit", "expected"),
    [
        ("aaAAa", 2, 4, ["aa", "AA", "a"]),
        ("abABabc", 3, 4, ["aAa", "bBb", "c"]),
        ("abcabcabc", 4, 1, ["aa", "bb", "cc", "a", "b", "c"]),  # where four wait, those begun first make room
        ("abcd", 1, 1, ["a", "b", "c", "d"]),
        ("", 3, 1, []),
    ],
)
def test_batches_of_one_kind(text, size, limit, expected):
    assert gathered(text, size, limit) == expected


def test_a_batch_is_counted_by_the_size_that_is_allowed_to_its_kind():
    sizes = {"a": 4, "b": 1}
    found = ["".join(batch) for batch in batches("abaababa", str, sizes.__getitem__, 4)]
    assert found == ["b", "b", "aaaa", "b", "a"]
