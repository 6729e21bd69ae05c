"""How many comments a second the classifier scores.

    python -m benchmarks.comment_classes [COUNT]

Scores COUNT (default 200,000) distinct comments made from our examples, in all our languages: short ones of at most 60
characters, and any length with emoji. Making them is not timed; the classifier uses one core, the best of five is
shown. On a machine busy with other work the clock says little, so the processor's own seconds stand beside it.
"""

from __future__ import annotations

import random
import sys
import time
from itertools import pairwise

from features.comment_classifier.classifier import CommentClassifier
from features.comment_classifier.training import read_examples


def make_comments(count: int, longest: int, seed: int = 7) -> list[str]:
    """`count` distinct texts: two halves of different examples, an emoji, a number, at most `longest` characters."""
    rng = random.Random(seed)
    words = [text.split() for text in read_examples()["text"]]
    texts: dict[str, None] = {}
    while len(texts) < count:
        rng.shuffle(words)
        for first, second in pairwise(words):
            text = " ".join(first[: len(first) // 2 + 1] + second[len(second) // 2 :])[: longest - 8]
            texts[f"{text} {rng.choice(['', '😍', '🔥🔥', '!'])}{rng.randrange(1000)}"] = None
    return list(texts)[:count]


def main() -> int:
    """Print characters per comment and comments per second for both mixtures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    classifier = CommentClassifier.load()
    for name, longest in (("short", 60), ("any length", 2_000)):
        texts = make_comments(count, longest)
        clock, processor = [], []
        for _ in range(5):
            began = time.perf_counter(), time.process_time()
            classifier.classify(texts)
            clock.append(time.perf_counter() - began[0])
            processor.append(time.process_time() - began[1])
        mean = sum(map(len, texts)) / count
        rates = f"{count / min(clock):,.0f} a second, {count / min(processor):,.0f} a processor second"
        print(f"{name}: {count:,} distinct comments of {mean:.0f} characters, {rates}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
