"""The comment classifier: rules, languages, exactness, saved form, and the command that retrains it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from features.comment_classifier.classifier import BATCH, CLASSES, LEARNED, SHIPPED, CommentClassifier
from features.comment_classifier.text import encode
from features.comment_classifier.training import combine, fit, main, read_examples

SPAM = [
    "guys please come see my channel, I upload skate clips",
    "Make 400$ per day working at home, write me on WhatsApp +1 555 010 4477",
    "sub4sub? I always return, comment when done",
    "free gift cards at http://cards-gratis.example.com no survey",
    "hola, suscríbete a mi canal y te sigo de vuelta",
    "подпишись на мой канал, взаимно",
    "チャンネル登録お願いします、返します",
]
REAL = [
    "we sang it around the campfire when the tent had already blown away",
    "a shame the comments are full of adverts these days",
    "that look at 4:18, I had to pause and catch my breath",
    "the lid leaks when I carry it in my rucksack, though coffee stays hot till noon",
    "el perro del fondo merece un premio de actuación",
    "голос в конце просто до мурашек",
    "昨日レシピを作りました、とても美味しかった",
]
BUYING = [
    "where can I buy that jacket?",
    "is the code still valid",
    "wo kann man die tasche kaufen",
    "قدیش السعر؟ كم السعر",
    "どこで買えますか",
]
SPECIFIC = [
    "the wool pilled at the elbows although I only washed it by hand",
    "your trick with the ice water kept the herbs green for three days",
    "le troisième exemple avec les fractions était beaucoup trop rapide",
    "a minha base oxidou depois do almoço e ficou laranja",
]
HOLLOW = ["so pretty 😍", "goals!!", "NICE ONE bro", "que linda ❤️", "かわいい!!"]


@pytest.fixture(scope="module")
def shipped() -> CommentClassifier:
    return CommentClassifier.load()


@pytest.fixture(scope="module")
def small() -> CommentClassifier:
    return fit(read_examples().iloc[::15])


def write_labels(path: Path, rows: list[tuple[str, str]], header: str = "text,spam") -> Path:
    path.write_text(header + "\n" + "\n".join(f'"{text}",{label}' for text, label in rows) + "\n", encoding="utf-8")
    return path


GOOD = [(text, "1") for text in SPAM] + [(text, "0") for text in REAL]


@pytest.mark.parametrize(
    ("text", "emoji_only", "mention_only", "hollow", "words"),
    [
        ("", 0, 0, 1, 0),
        (None, 0, 0, 1, 0),
        (float("nan"), 0, 0, 1, 0),
        (" \ufeff\u200b ", 0, 0, 1, 0),
        ("!!! ...", 0, 0, 1, 0),
        ("😍😍 !!", 1, 0, 0, 0),
        ("👩🏽‍🚀🇧🇷", 1, 0, 0, 0),
        ("▶️ ‼️", 1, 0, 0, 0),
        ("1️⃣ ©️ ↗️ ㊗️", 1, 0, 0, 0),
        ("▶ ‼ ©", 0, 0, 1, 0),  # signs and letters as long as nothing styles them
        ("&lt;3 :)", 1, 0, 0, 0),
        ("@anna @bo.b 😂", 0, 1, 0, 0),
        ("<br />@anna", 0, 1, 0, 0),
        ("❤️❤\ufe0e", 1, 0, 0, 0),
        ("1️⃣2️⃣ #⃣", 1, 0, 0, 0),
        ("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", 1, 0, 0, 0),
        ("👨‍👩‍👧‍👦 ❤️‍🔥 🙂‍↔️", 1, 0, 0, 0),
        ("©️ ℹ️ 〰️ ㊙️ 🈚 🈁", 1, 0, 0, 0),
        ("&#x25B6;&#xFE0F;&zwj;", 1, 0, 0, 0),
        ("\u2067\u2069 \u3164\uffa0 \u202e\x08", 0, 0, 1, 0),
    ],
)
def test_texts_without_words_are_decided_by_rule(
    shipped: CommentClassifier, text: object, emoji_only: int, mention_only: int, hollow: int, words: int
) -> None:
    row = shipped.classify([text]).iloc[0]
    assert row[["emoji_only", "mention_only", "hollow", "words"]].tolist() == [emoji_only, mention_only, hollow, words]
    assert row[["spam", "substance", "question", "buying_intent"]].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("don't stop 2nite", 3),
        ("costs 1,250.50 at 10:30", 4),
        ("see https://www.example.com/x?y=1 now", 3),
        ("हिन्दी में लिखा", 3),
        ("とても綺麗です", 4),
        ("สวยมากเลย", 3),
        ("한국어 댓글", 2),
        ("nice &amp; easy", 2),
        ("™ or ‼ and ▶ as letters 2\ufe0f4", 6),
    ],
)
def test_words_are_counted_in_any_script(shipped: CommentClassifier, text: str, words: int) -> None:
    assert shipped.classify([text])["words"].tolist() == [words]


HIDDEN = [
    *"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2064\u206a\u206f",
    *map(chr, [*range(0x202A, 0x202F), *range(0x2065, 0x206A), 0x3164, 0xFFA0, 0xFEFF, 0xFE00, 0xFE0E, 0xFE0F]),
    *map(
        chr,
        [
            0xFFF9,
            0xFFFB,
            0x1BCA0,
            0x1D173,
            0xE0001,
            0xE0020,
            0xE007F,
            0xE0100,
            0xE01EF,
            0x00,
            0x08,
            0x1B,
            0x1C,
            0x1F,
            0x9F,
        ],
    ),
]


@pytest.mark.parametrize("hidden", HIDDEN, ids=lambda c: f"U+{ord(c):04X}")
def test_characters_that_do_not_show_change_no_bit(shipped: CommentClassifier, hidden: str) -> None:
    texts = [*SPAM, *REAL, *BUYING, "see www.example.com/x, mail @anna &amp; don&#39;t miss <b>10</b> 😍😍 ;) <3"]
    within = [hidden.join(text) for text in texts] + [hidden + text[:5] + hidden * 3 + text[5:] for text in texts]
    pd.testing.assert_frame_equal(
        shipped.classify(within), pd.concat([shipped.classify(texts)] * 2, ignore_index=True), check_exact=True
    )


@pytest.mark.parametrize("mark", "\u0301\u0489\u1ab0\u1dc0\u20dd\ufe20", ids=lambda c: f"U+{ord(c):04X}")
def test_marks_over_letters_are_accents(shipped: CommentClassifier, mark: str) -> None:
    texts = ["send me a message on telegram to earn 5000 dollars a week"]
    marked = [" ".join(mark.join(word) for word in text.split(" ")) for text in texts]
    pd.testing.assert_frame_equal(shipped.classify(marked), shipped.classify(texts), check_exact=True)


def test_hearts_in_a_row_are_smileys(shipped: CommentClassifier) -> None:
    found = shipped.classify(["<3", "<3<3<3", "<3 <33"])
    assert found["emoji_only"].tolist() == [1, 1, 1]
    assert found["words"].tolist() == [0, 0, 0]


def test_emoji_by_their_variation_selector_count_as_emoji(shipped: CommentClassifier) -> None:
    for plain, selected in (("😍", "▶️"), ("😍😘", "1️⃣2️⃣"), ("😍😘😀", "‼️⁉️🈶")):
        shape = [encode([f"look here {emoji} now"]).shape.tolist() for emoji in (plain, selected)]
        assert shape[0] == shape[1]
    # the same words with and without them differ in nothing but the emoji
    both = shipped.classify(["order yours now ▶️▶️▶️", "order yours now 😀😀😀"])
    assert both["words"].tolist() == [3, 3]


def test_columns_types_and_kinds_of_input(shipped: CommentClassifier) -> None:
    texts = SPAM + REAL
    frame = shipped.classify(texts)
    assert list(frame) == [*CLASSES, "words"]
    assert set(frame[list(CLASSES)].dtypes) == {np.dtype("float32")}
    scores = frame[list(CLASSES)].to_numpy()
    assert scores.min() >= 0
    assert scores.max() <= 1
    for other in (np.array(texts, object), pd.Series(texts), pa.array(texts), pa.chunked_array([texts[:3], texts[3:]])):
        pd.testing.assert_frame_equal(shipped.classify(other), frame)
    assert len(shipped.classify([])) == 0
    with pytest.raises(TypeError, match="got int: 7"):
        shipped.classify(["a", 7])
    with pytest.raises(TypeError, match="wrap it in a list"):
        shipped.classify("a")


def test_what_a_text_repeats_is_there_once_and_stays_in_its_row() -> None:
    texts = ["la la la la la, 1111111111 laaa", "", "LA la", "la la"]
    encoded = encode(texts)
    for family in ("tokens", "parts"):
        slots, row = getattr(encoded, family)
        pairs = list(zip(row.tolist(), slots.tolist(), strict=True))
        assert len(pairs) == len(set(pairs))
        alone = [set(getattr(encode([text]), family)[0].tolist()) for text in texts]
        assert [{slot for at, slot in pairs if at == number} for number in range(len(texts))] == alone
    assert np.bincount(encoded.tokens[1], minlength=4)[[1, 2, 3]].tolist() == [0, 2, 2]


def test_form_of_the_same_text_changes_nothing(shipped: CommentClassifier) -> None:
    forms = [
        "Check out my café's page &amp; shop!!!",
        "\ufeffCHECK OUT my cafe\u0301’s page & shop!",
        "check out<br>my 𝐜𝐚𝐟𝐞s page & shop!",
    ]
    frame = shipped.classify(forms)
    assert len(frame.drop_duplicates()) == 1


def test_held_out_sentences_in_many_languages(shipped: CommentClassifier) -> None:
    assert (shipped.classify(SPAM)["spam"] > 0.5).sum() >= len(SPAM) - 1
    assert (shipped.classify(REAL)["spam"] < 0.5).sum() >= len(REAL) - 1
    assert (shipped.classify(BUYING)["buying_intent"] > 0.5).sum() >= len(BUYING) - 1
    assert (shipped.classify(HOLLOW)["hollow"] > 0.5).sum() >= len(HOLLOW) - 1
    question = shipped.classify(["what lens is this filmed with?", "lovely evening in the garden"])["question"]
    assert question[0] > 0.5 > question[1]
    # Substance is found by order rather than at one half: it has as many words as there are products.
    substance = shipped.classify(SPECIFIC)["substance"]
    assert (
        substance.min()
        > shipped.classify([*HOLLOW, "good morning from Lisbon", "haha I know right"])["substance"].max()
    )


@pytest.mark.slow
def test_batches_and_order_change_no_bit(shipped: CommentClassifier) -> None:
    texts = (read_examples()["text"].tolist() * 2)[: BATCH + 100]
    whole = shipped.classify(texts)
    for step in (1, 37):
        at = list(range(0, len(texts), 997))
        alone = pd.concat([shipped.classify(texts[i : i + step]) for i in at])
        expected = pd.concat([whole.iloc[i : i + step] for i in at])
        assert alone.to_numpy().tobytes() == expected.to_numpy().tobytes()
    assert shipped.classify(texts[::-1])[::-1].to_numpy().tobytes() == whole.to_numpy().tobytes()


def test_saved_and_loaded_is_equal_to_the_bit_and_holds_no_pickle(small: CommentClassifier, tmp_path: Path) -> None:
    small.save(tmp_path / "model")
    loaded = CommentClassifier.load(tmp_path / "model")
    assert loaded.fingerprint == small.fingerprint
    assert loaded.classify(REAL).to_numpy().tobytes() == small.classify(REAL).to_numpy().tobytes()
    assert {path.name for path in (tmp_path / "model").iterdir()} == {"model.json", "slots.npy", "weights.npy"}
    for name in ("slots", "weights"):
        assert np.load(tmp_path / "model" / f"{name}.npy", allow_pickle=False).dtype.kind == "i"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("name", ["slots.npy", "weights.npy", "model.json"])
def test_a_changed_file_is_refused(small: CommentClassifier, tmp_path: Path, name: str) -> None:
    small.save(tmp_path / "model")
    file = tmp_path / "model" / name
    data = bytearray(file.read_bytes())
    at = data.index(b'"scale"') + 20 if name == "model.json" else len(data) - 1
    data[at] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(ValueError, match="was changed: its checksum differs"):
        CommentClassifier.load(tmp_path / "model")


def test_missing_foreign_and_other_formats_are_refused(small: CommentClassifier, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"model\.json is missing"):
        CommentClassifier.load(tmp_path)
    small.save(tmp_path / "model")
    manifest = json.loads((tmp_path / "model" / "model.json").read_text())
    manifest["content"]["format"] = 99
    (tmp_path / "model" / "model.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="has format 99, this version reads 1"):
        CommentClassifier.load(tmp_path / "model")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="is no saved classifier"):
        small.save(tmp_path / "mine")


@pytest.mark.slow
def test_build_remakes_the_shipped_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--output", str(tmp_path / "again")]) == 0
    shipped, again = CommentClassifier.load(), CommentClassifier.load(tmp_path / "again")
    assert again.fingerprint in capsys.readouterr().out
    # Another processor may round a last bit otherwise, so bytes are compared only within one machine: see the docs.
    texts = SPAM + REAL + BUYING + HOLLOW
    np.testing.assert_allclose(again.classify(texts), shipped.classify(texts), atol=5e-3)
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 1_000_000


def test_fit_gives_the_same_bytes_again(small: CommentClassifier) -> None:
    assert fit(read_examples().iloc[::15]).fingerprint == small.fingerprint


def test_examples_are_labelled_in_every_language() -> None:
    files = sorted((SHIPPED.parent / "comment_examples").glob("*.csv"))
    assert len(files) >= 12
    for file in files:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
        assert list(table) == ["text", *LEARNED], file.name
        assert table[list(LEARNED)].isin(["0", "1", ""]).all(axis=None), file.name
        assert (table[list(LEARNED)] == "1").any().all(), file.name
        assert not table["text"].duplicated().any(), file.name


@pytest.mark.parametrize("flag", [[], ["--only-mine"]])
def test_train_learns_the_users_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: list[str]) -> None:
    few = read_examples().iloc[::15]
    monkeypatch.setattr("features.comment_classifier.training.read_examples", few.copy)
    # A user for whom "zorble" comments are spam, contrary to nothing in our examples.
    rows = [(f"the zorble number {i} is nice", "1") for i in range(20)] + [
        (f"the garden number {i} is nice", "0") for i in range(20)
    ]
    labels = write_labels(tmp_path / "labels.csv", rows)
    assert main(["train", str(labels), "--output", str(tmp_path / "mine"), *flag]) == 0
    texts = ["a nice zorble", "a nice garden", "where can I buy this dress?"]
    scores = CommentClassifier.load(tmp_path / "mine").classify(texts)
    assert scores["spam"][0] > 0.5 > scores["spam"][1]
    # What was not labelled is still what the examples teach.
    np.testing.assert_allclose(scores["buying_intent"][2], fit(few).classify(texts)["buying_intent"][2], atol=0.02)


def test_only_the_classes_a_user_labelled_are_scaled_by_their_ratios() -> None:
    labels = pd.DataFrame({"text": SPAM + REAL, "spam": [1.0] * len(SPAM) + [0.0] * len(REAL)})
    table, weight, own = combine(labels, examples=read_examples().iloc[::15])
    assert own.sum() == len(labels)
    plain, scaled = fit(table, weight).classify(BUYING), fit(table, weight, own).classify(BUYING)
    assert (plain["spam"] - scaled["spam"]).abs().max() > 0.02
    for name in set(LEARNED) - {"spam"}:
        np.testing.assert_allclose(plain[name], scaled[name], atol=5e-3, err_msg=name)


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (GOOD, "comment,spam", "column text is missing, found 'comment', 'spam': name the column of comments text"),
        (GOOD, "text,label", "no column to learn from, found 'text', 'label': add any of spam, hollow"),
        (
            [*GOOD, ("odd", "yes"), ("even", "2")],
            "text,spam",
            "spam is '2', 'yes' in rows 15, 16: write 0, 1, or nothing",
        ),
        ([*GOOD, (" ", "1")], "text,spam", "text is empty in row 15: remove these rows"),
        ([*GOOD, (REAL[0], "1")], "text,spam", "the same text has both 0 and 1 in rows 8, 15: decide for one"),
        (GOOD[:9], "text,spam", "spam has 2 rows labelled 0, at least 5 are needed"),
    ],
)
def test_bad_labels_are_told_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[tuple[str, str]], header: str, message: str
) -> None:
    labels = write_labels(tmp_path / "labels.csv", rows, header)
    assert main(["train", str(labels), "--output", str(tmp_path / "mine")]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["labels.csv"]


def test_unreadable_labels_and_a_taken_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "latin.csv").write_bytes("text,spam\ncafé,1\n".encode("latin-1"))
    (tmp_path / "empty.csv").write_bytes(b"")
    for name, message in (("latin", "not a CSV file in UTF-8"), ("empty", "not a CSV file"), ("none", "no such file")):
        assert main(["train", str(tmp_path / f"{name}.csv"), "--output", str(tmp_path / "taken")]) == 2
        printed = capsys.readouterr().err
        assert message in printed
        assert "already exists: choose a new folder" in printed


def test_a_failed_save_leaves_the_old_one(
    small: CommentClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(SHIPPED, tmp_path / "model")
    before = CommentClassifier.load(tmp_path / "model").fingerprint

    def broken(*_: object, **__: object) -> str:
        raise OSError("disk full")

    monkeypatch.setattr(json, "dumps", broken)
    with pytest.raises(OSError, match="disk full"):
        small.save(tmp_path / "model")
    monkeypatch.undo()
    assert CommentClassifier.load(tmp_path / "model").fingerprint == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
