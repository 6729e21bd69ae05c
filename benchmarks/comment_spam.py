"""How well spam is recognised among real comments, on labelled comments of several videos, split by video.

    python -m benchmarks.comment_spam [FOLDER]

FOLDER (default: youtube_comments in CREATOR_YIELD_SHARED_DATA, else in ../shared/data)
holds one CSV a video with the columns CONTENT and label (1 is spam). Each video is scored by what
was trained without it:

- shipped: our classifier as it ships, which has seen none of these comments
- retrained: our classifier trained on the other videos' labels together with our examples
- only_mine: the same without our examples
- tfidf: the peer, TF-IDF of words and logistic regression with their default settings, on the other videos' labels
- regex: one regular expression; its AUC is that of a yes or no
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.pipeline import make_pipeline

from features.comment_classifier.classifier import CommentClassifier
from features.comment_classifier.training import combine, fit, read_examples

PATTERN = re.compile(
    r"https?:|www\.|\.com\b|subscri|check\s+(?:\w+\s+)?out|my\s+(?:\w+\s+)?(?:channel|page|video|music|cover)|"
    r"follow\s+me|free\s+money|giveaway|please\s+(?:like|share|vote|help)",
    re.IGNORECASE,
)


def read_videos(folder: Path) -> dict[str, pd.DataFrame]:
    """The labelled comments of each video: text and spam (0 or 1)."""
    videos = {}
    for file in sorted(folder.glob("*.csv")):
        table = pd.read_csv(file, encoding="utf-8-sig", usecols=["CONTENT", "label"])
        videos[file.stem] = pd.DataFrame({"text": table["CONTENT"], "spam": table["label"].astype(float)})
    return videos


def measure(videos: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """ROC AUC and F1 (at 0.5) of spam, a row per video and way."""
    examples, shipped = read_examples(), CommentClassifier.load()
    rows = []
    for name, held in videos.items():
        other = pd.concat([table for key, table in videos.items() if key != name], ignore_index=True)
        peer = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(other["text"], other["spam"])
        ways = {"shipped": shipped.classify(held["text"])["spam"].to_numpy()}
        for way, only_mine in (("retrained", False), ("only_mine", True)):
            # The classes that these labels do not tell are not needed here.
            ours = examples[["text", "spam"]] if not only_mine else examples[["text", "spam"]].head(0)
            ways[way] = fit(*combine(other, only_mine, ours)).classify(held["text"])["spam"].to_numpy()
        ways["tfidf"] = peer.predict_proba(held["text"])[:, 1]
        ways["regex"] = np.array([bool(PATTERN.search(text)) for text in held["text"]], float)
        for way, score in ways.items():
            auc, f1 = roc_auc_score(held["spam"], score), f1_score(held["spam"], score >= 0.5)
            rows.append({"video": name, "comments": len(held), "way": way, "auc": auc, "f1": f1})
    return pd.DataFrame(rows)


def main() -> int:
    """Print the table; exit status 2 where the data is absent."""
    default = Path(os.environ.get("CREATOR_YIELD_SHARED_DATA", "../shared/data")) / "youtube_comments"
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else default)
    videos = read_videos(folder)
    if len(videos) < 2:
        print(f"error: {folder} holds no labelled comments of two videos or more", file=sys.stderr)
        return 2
    result = measure(videos)
    print(result.pivot(index="way", columns="video", values=["auc", "f1"]).round(4).to_string())
    return 0


if __name__ == "__main__":
    sys.exit(main())
