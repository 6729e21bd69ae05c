"""Long and odd comment texts take time in proportion to their length."""

import itertools
import time

import numpy as np
import pytest

from features.comment_classifier.text import MOST_MARKS, Encoded, _split_marks, encode

MARKS = "\u0301\u0327\u0316"  # of three classes, so that to normalise means to sort


def seconds(text: str) -> float:
    began = time.process_time()
    encode([text])
    return time.process_time() - began


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    [
        MARKS,
        "\u0651\u064e\u0670",
        "\u0344\u0327",
        "<a",
        "&#x",
        "@",
        ":)",
        ".com",
        "\ufdfa",
        "\u1100\u1161",
        "▶️",
        "\u202e",
    ],
)
def test_time_grows_with_length_alone(unit: str) -> None:
    encode(["warm"])
    count = 120_000 // len(unit)
    long, short = f"e{unit * count}", f"e{unit * (count // 20)}"
    assert seconds(long) < 100 * max(seconds(short), 0.005)  # by the square it would be 400 times as long


def test_runs_of_marks_are_cut_and_no_other_text_is_changed() -> None:
    for text in ("plain", "e\u0301", f"e{MARKS * 10}x", f"{MARKS * 10}\n{MARKS * 10}", ""):
        assert _split_marks(text) == text
    for text in (f"e{MARKS * 11}x\n", f"{MARKS * 50}\n", f"e{MARKS * 30}x{MARKS * 11}\né\n"):
        cut = _split_marks(text)
        assert cut.replace("\u034f", "") == text
        runs = [len(list(run)) for mark, run in itertools.groupby(cut, lambda c: c in MARKS) if mark]
        assert max(runs) == MOST_MARKS


def test_a_long_run_of_marks_is_dropped_as_a_short_one_is() -> None:
    def tokens(found: Encoded) -> list[int]:
        return found.tokens[0].tolist()

    plain = encode(["where can I buy this"])
    for run in (MARKS, MARKS * 5000):
        assert tokens(encode([f"whe{run}re can I buy this"])) == tokens(plain)
    both = encode([f"a{MARKS * 400}", "where can I buy this"])
    assert np.array_equal(both.tokens[0][both.tokens[1] == 1], plain.tokens[0])
