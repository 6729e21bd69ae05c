"""Fits the comment classifier from the examples that ship, from a user's labels, or from both."""

from __future__ import annotations

import argparse
import random
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features.comment_classifier.classifier import LEARNED, SHIPPED, CommentClassifier
from features.comment_classifier.text import HASH_BITS, SHAPE_BINS, SHAPE_WIDTH, encode

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

EXAMPLES = Path(__file__).parent / "comment_examples"
SEED = 20261
VARIANTS = 6
# How freely the words and the shape may speak: lengths of made examples are no guide to those of real comments.
FREEDOM = 20.0
SHAPE_SHARE = 0.1
# Added to the weight of the texts with and without a class in which a word occurs, before their ratio is taken.
SMOOTHING = 0.3
OWN_SHARE = 3.0
LEAST = 5
STEPS = 2047
KEPT = 60_000
NO_QUESTION_MARK = str.maketrans("", "", "?\u061f\uff1f")
_CHOICE = re.compile(r"\{([^{}]*)\}")


class LabelError(ValueError):
    """All that is wrong with a file of labels; `faults` has one message each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def read_examples(folder: Path = EXAMPLES) -> pd.DataFrame:
    """Our examples, every `{this|that}` filled in: `text` and one float column per learned class (NaN is unknown)."""
    tables = []
    for file in sorted(folder.glob("*.csv")):
        table = pd.read_csv(
            file, dtype={"text": str}, keep_default_na=False, na_values={name: [""] for name in LEARNED}
        )
        tables.append(_multiply(table, random.Random(f"{SEED} {file.stem}")))
    return pd.concat(tables, ignore_index=True)


def _multiply(table: pd.DataFrame, rng: random.Random) -> pd.DataFrame:
    """Up to VARIANTS fillings of every example, then as many pairs of them said in one breath as there are fillings."""
    rows = []
    for text, *labels in table[["text", *LEARNED]].itertuples(index=False):
        filled = dict.fromkeys(_CHOICE.sub(lambda m: rng.choice(m[1].split("|")), text) for _ in range(2 * VARIANTS))
        for variant in list(filled)[:VARIANTS]:
            # Many leave out the question mark.
            plain = variant if rng.random() < 0.6 else variant.translate(NO_QUESTION_MARK)
            rows.append((" ".join(plain.split()), *labels))
    pairs = []
    hollow = LEARNED.index("hollow")
    for _ in range(len(rows)):
        first, second = rng.choice(rows), rng.choice(rows)
        one, other = np.array(first[1:], float), np.array(second[1:], float)
        # True of the pair if true of either; only hollow has to be true of both. Unknown stays unknown.
        either = np.where(np.fmax(one, other) == 1, 1.0, one + other)
        either[hollow] = 0.0 if np.fmin(one, other)[hollow] == 0 else (one * other)[hollow]
        pairs.append((first[0] + rng.choice([" ", " ", ". ", "! ", ", ", "... "]) + second[0], *either))
    return pd.DataFrame(rows + pairs, columns=["text", *LEARNED]).drop_duplicates("text")


def read_labels(path: Path) -> pd.DataFrame:
    """A user's labels: `text` and float columns of the learned classes that the file has (NaN is unknown).

    Raises LabelError with every fault found.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise LabelError([f"{path}: there is no such file"]) from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise LabelError([f"{path}: not a CSV file in UTF-8 ({error}): save it as one, with a header line"]) from None
    known = [name for name in LEARNED if name in table]
    faults = []
    if "text" not in table:
        faults.append(
            f"{path}: column text is missing, found {_short(list(table.columns))}: name the column of comments text"
        )
    if not known:
        faults.append(
            f"{path}: no column to learn from, found {_short(list(table.columns))}: add any of {', '.join(LEARNED)}"
        )
    if not len(table):
        faults.append(f"{path}: no rows: add labelled comments")
    if faults:
        raise LabelError(faults)
    labels = table[known].apply(lambda column: column.str.strip())
    for name in known:
        wrong = ~labels[name].isin(["0", "1", ""])
        if wrong.any():
            got = _short(sorted(set(labels.loc[wrong, name])))
            faults.append(f"{path}: {name} is {got} in {_rows(wrong)}: write 0, 1, or nothing if unknown")
    blank = table["text"].str.strip() == ""
    if blank.any():
        faults.append(f"{path}: text is empty in {_rows(blank)}: remove these rows")
    labels = labels.where(labels.isin(["0", "1"])).astype(float)
    spread = labels.groupby(table["text"]).transform("nunique").max(axis=1) > 1
    if (spread & ~blank).any():
        faults.append(f"{path}: the same text has both 0 and 1 in {_rows(spread & ~blank)}: decide for one")
    for name in known:
        for value in (0.0, 1.0):
            found = int((labels[name] == value).sum())
            if found < LEAST:
                need = f"at least {LEAST} are needed: label more or leave the column out"
                faults.append(f"{path}: {name} has {found} rows labelled {value:.0f}, {need}")
    if faults:
        raise LabelError(faults)
    return pd.concat([table["text"], labels], axis=1)


def _short(values: list[str]) -> str:
    return ", ".join(repr(value) for value in values[:5]) + (f" and {len(values) - 5} more" if len(values) > 5 else "")


def _rows(wrong: pd.Series) -> str:
    """Rows as a person counts them: the first below the header is 1."""
    at = [str(number + 1) for number in np.flatnonzero(wrong)]
    return f"row{'s' * (len(at) > 1)} " + ", ".join(at[:5]) + (f" and {len(at) - 5} more" if len(at) > 5 else "")


def combine(
    labels: pd.DataFrame, only_mine: bool = False, examples: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """A user's labels with our examples, the weight of each row, and whether it is the user's.

    The user's rows together weigh OWN_SHARE times as much as our examples do (at most 20 a row). With `only_mine` our
    examples teach nothing about the classes that the user has labelled; the other classes still come from them.
    """
    ours = read_examples() if examples is None else examples.copy()
    if only_mine:
        ours[[name for name in LEARNED if name in labels]] = np.nan
    weight = np.r_[np.ones(len(ours)), np.full(len(labels), min(20.0, max(1.0, OWN_SHARE * len(ours) / len(labels))))]
    return pd.concat([ours, labels], ignore_index=True), weight, np.arange(len(weight)) >= len(ours)


def fit(table: pd.DataFrame, weight: np.ndarray | None = None, own: np.ndarray | None = None) -> CommentClassifier:
    """Fit one logistic regression a class on the rows where it is known. Same table, same bytes.

    `weight` is one number a row (default 1) and `own` marks the user's rows. Classes that these label are fitted on
    words scaled by their log ratios: real labels gain by it, examples alone lose.
    """
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression

    encoded, n = encode(list(table["text"])), len(table)
    width = 1 << HASH_BITS
    blocks = []
    for family in ("tokens", "parts"):
        slots, owner = getattr(encoded, family)
        blocks.append(sparse.csr_matrix((encoded.weights(family)[owner], (owner, slots)), shape=(n, width)))
    shape = sparse.csr_matrix(
        (
            np.full(encoded.shape.size, SHAPE_SHARE),
            (np.repeat(np.arange(n), encoded.shape.shape[1]), encoded.shape.ravel()),
        ),
        shape=(n, SHAPE_WIDTH),
    )
    hashed = blocks[0] + blocks[1]
    seen = np.flatnonzero(np.bincount(hashed.indices, minlength=width) >= 2).astype(np.int32)
    design = sparse.hstack([hashed[:, seen], shape], format="csr")
    weight = np.ones(n) if weight is None else weight
    first_bins = len(next(iter(SHAPE_BINS.values()))) + 1
    coefficients = np.zeros((design.shape[1], len(LEARNED)))
    for number, name in enumerate(LEARNED):
        if name not in table:
            continue
        known = (table[name].notna() & ~encoded.silent).to_numpy()
        label = table[name].to_numpy()[known].astype(int)
        ratio = np.ones(design.shape[1])
        if own is not None and table.loc[own, name].notna().any():
            ratio[: len(seen)] = _log_ratios(hashed[known][:, seen], label, weight[known])
        model = LogisticRegression(C=FREEDOM, solver="liblinear", random_state=0, intercept_scaling=1.0)
        model.fit(design[known] @ sparse.diags_array(ratio), label, sample_weight=weight[known])
        coefficients[:, number] = model.coef_[0] * ratio
        coefficients[len(seen) :, number] *= SHAPE_SHARE
        # The bins of a count sum to one, so the intercept can ride on those of the first.
        coefficients[len(seen) : len(seen) + first_bins, number] += model.intercept_[0]
    return _quantised(seen, coefficients)


def _log_ratios(hashed: csr_matrix, label: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """How far each slot's share among the labelled 1 is from that among the labelled 0: |log of their ratio|.

    Slots scaled by it learn the faster, the more one-sided they are (Wang and Manning 2012, Baselines and Bigrams,
    section 2.3); the sign is left to the regression.
    """
    present = hashed.astype(bool).astype(float).T
    one, none = (present @ (weight * (label == value)) + SMOOTHING for value in (1, 0))
    return np.abs(np.log(one / one.sum()) - np.log(none / none.sum()))


def _quantised(slots: np.ndarray, coefficients: np.ndarray) -> CommentClassifier:
    """Round the coefficients to whole steps and keep the KEPT slots that matter most."""
    scale = np.abs(coefficients).max(axis=0) / STEPS
    steps = np.rint(coefficients / np.where(scale > 0, scale, 1.0)).astype(np.int16)
    hashed, shape = steps[: len(slots)], steps[len(slots) :]
    largest = np.abs(hashed).max(axis=1)
    order = np.lexsort((slots, -largest))[:KEPT]
    kept = np.sort(order[largest[order] > 1])
    return CommentClassifier(slots[kept], hashed[kept], shape, scale.tolist())


def main(arguments: list[str] | None = None) -> int:
    """The commands build and train; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m features.comment_classifier",
        description="Train the classifier of comments (spam, hollow, substance, question, buying_intent).",
        epilog="examples:\n  python -m features.comment_classifier train labels.csv --output my_comment_model\n"
        "  python -m features.comment_classifier build\n\nLABELS has a column text and any of "
        + ", ".join(LEARNED)
        + ", each 0, 1, or nothing where it is unknown.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train on labels of your own, together with our examples")
    train.add_argument("labels", metavar="LABELS", type=Path, help="CSV with text and any of the classes")
    train.add_argument("--output", required=True, type=Path, help="folder to write; must not exist yet")
    train.add_argument(
        "--only-mine", action="store_true", help="leave our examples out for the classes that you labelled"
    )
    build = commands.add_parser("build", help="make the shipped classifier again from our examples")
    build.add_argument("--output", type=Path, default=SHIPPED, help="folder to write (default: the shipped one)")
    given = parser.parse_args(arguments)
    try:
        if given.command == "build":
            classifier = fit(read_examples())
        else:
            faults = [f"{given.output}: already exists: choose a new folder"] if given.output.exists() else []
            try:
                table, weight, own = combine(read_labels(given.labels), given.only_mine)
            except LabelError as error:
                faults += error.faults
            if faults:
                raise LabelError(faults)
            classifier = fit(table, weight, own)
        classifier.save(given.output)
    except (LabelError, OSError) as error:
        for message in error.faults if isinstance(error, LabelError) else [str(error)]:
            print(f"error: {message}", file=sys.stderr)
        return 2
    print(f"{given.output}: fingerprint {classifier.fingerprint}")
    return 0
