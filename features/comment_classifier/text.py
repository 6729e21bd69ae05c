"""Texts as integers: hashed words, neighbouring words, word parts of four characters, and binned shape.

A batch of texts is joined into one string and handled by a few whole-array steps, so that no Python runs per word. Each
row depends on its own text alone. Accents, case, HTML, characters that do not show and letters held down ("soooo") are
folded away first; links, sites, handles and text smileys become one marker each; Han, kana, Thai, Lao, Khmer and
Burmese characters are tokens by themselves. The time is linear in the length of a text.
"""

from __future__ import annotations

import functools
import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

HASH_BITS = 20

# Kinds of characters; those from HAN on are tokens by themselves.
SPACE, LETTER, HAN, THAI, EMOJI, SIGN, MARKER, NEWLINE, JOINER, DROPPED = range(10)
LINK, SITE, MENTION, SMILE, ZERO = 0x10FF00, 0x10FF01, 0x10FF02, 0x1F642, ord("0")

# Shape: lower edges of the bins, in the order of the columns that `_shape` counts.
SHAPE_BINS: dict[str, tuple[int, ...]] = {
    "words": (1, 2, 3, 4, 6, 9, 13, 21, 36),
    "links": (1, 2),
    "mentions": (1, 2),
    "emoji": (1, 2, 4),
    "question_marks": (1, 2),
    "exclamation_marks": (1, 2),
    "digits": (1, 4, 8),
    "money_signs": (1,),
    "hashtags": (1, 2),
}
SHAPE_WIDTH = sum(len(edges) + 1 for edges in SHAPE_BINS.values())

# Dotless i, Arabic and inverted question marks, Arabic ya and ta marbuta as they are loosely typed, o-slash, l-stroke.
FOLDED = {"ı": "i", "؟": "?", "¿": "?", "¡": "!", "ى": "ي", "ة": "ه", "ø": "o", "ł": "l"}

# What does not show: Unicode's default-ignorable code points, annotation marks, and control characters but white space.
HIDDEN = (
    (0x00, 0x08), (0x0E, 0x1F), (0x7F, 0x84), (0x86, 0x9F), (0xAD, 0xAD), (0x034F, 0x034F), (0x061C, 0x061C),
    (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F),
    (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
# Marks above, below and through letters, of any script.
ACCENTS = ((0x0300, 0x036F), (0x0483, 0x0489), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0xFE20, 0xFE2F))
_HIDDEN = re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in HIDDEN) + "]+")
# Signs that are emoji by their variation selector, and emoji that compatibility decomposition would make letters of.
_SELECTED = "©®‼⁉™ℹ↔-↙↩↪Ⓜ▪▫▶◀◻◼⤴⤵〰〽㊗㊙🈂🈷"
_ALWAYS = "◽◾🈁🈚🈯🈲-🈶🈸-🈺🉐🉑"
_KEYCAP = "[0-9#*]\ufe0f?\u20e3"
_EMOJI = re.compile(f"{_KEYCAP}|[{_SELECTED}]\ufe0f|[{_ALWAYS}]")
EMOJI_PLANE = 0x100000  # such an emoji becomes a private character, which keeps it apart from the others
# Canonical ordering takes the square of the length of a run of marks, so long runs are parted, as UAX 15 advises.
LONG_TEXT, MOST_MARKS = 1_000, 30
_MARK = r"[^\w\s\x00-\x7f]"  # or an emoji, which a joiner does not change
_RUN = re.compile(f"{_MARK}{{{MOST_MARKS}}}(?={_MARK})")

_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_SCHEME = re.compile(r"https?:/+(?:www\.)?|www\.")
_SITE = re.compile(
    r"\.(?:com|net|org|info|biz|tv|me|ly|gl|be|co|io|us|uk|de|fr|es|it|br|ru|id|in|jp|tr|mx|eu|ee|gg|tk|ml|cc|"
    r"site|online|shop|store|club|xyz|top|link|app|live|blog|html?|php)(?![^\W_])[^\s@]*"
)
_HANDLE = re.compile(r"@[^\s@,;:!?()\"]+")
_SMILEY = re.compile(r"(?<!\w)(?:[:;=]-?[)(\]dp*]+(?!\w)|(?:<3+)+)")


@functools.cache
def _characters() -> tuple[np.ndarray, np.ndarray]:
    """Kind of every code point (uint8) and what it is folded to (uint32)."""
    kind = np.zeros(0x110000, np.uint8)
    fold = np.arange(0x110000, dtype=np.uint32)
    for point in range(0x20000):
        category = unicodedata.category(chr(point))
        if category[0] in "LMN":
            kind[point] = LETTER
        if category == "Nd":
            fold[point] = ZERO
        elif category == "Sc":
            kind[point] = SIGN
    for first, last in ((0x2E80, 0x31FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)):
        kind[first : last + 1] = HAN
    kind[0x3000:0x3005] = kind[0x3008:0x3021] = SPACE
    kind[0x30FB] = SPACE
    for first, last in ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF)):
        thai = kind[first : last + 1]
        thai[thai == LETTER] = THAI
    for first, last in ((0x1F000, 0x1FAFF), (0x2600, 0x27BF), (0x2B00, 0x2BFF), (0x231A, 0x23FF)):
        kind[first : last + 1] = EMOJI
    kind[[_emoji_point(c) for c in map(chr, range(0x20000)) if _EMOJI.match(f"{c}\ufe0f\u20e3")]] = EMOJI
    dropped = [*HIDDEN, *ACCENTS, (0x1F3FB, 0x1F3FF), (0x064B, 0x0655), (0x3099, 0x309C)]
    for first, last in dropped + [(ord(c),) * 2 for c in "\u0640\u093c'\u2019\u02bc`"]:
        kind[first : last + 1] = DROPPED
    for char, plain in FOLDED.items():
        fold[ord(char)] = ord(plain)
    kind[[ord(c) for c in "?!%#+=\u061f\u00bf\u00a1"]] = SIGN
    kind[[ord(c) for c in ":.,"]] = JOINER
    kind[[LINK, SITE, MENTION]] = MARKER
    kind[ord("\n")] = NEWLINE
    return kind, fold


def _emoji_point(emoji: str) -> int:
    """The private character that stands for an emoji by its first character."""
    return EMOJI_PLANE + (ord(emoji[0]) & 0xFFFF)


def _visible(texts: Sequence[Any]) -> list[str]:
    """Texts without what does not show, emoji made plain; a missing one is empty.

    Raises TypeError for what is neither a text nor missing.
    """
    found = [text if isinstance(text, str) else _missing(text) for text in texts]
    points = np.frombuffer("".join(found).encode("utf-32-le", "surrogatepass"), np.uint32)
    rows = np.searchsorted(np.cumsum([*map(len, found)]), np.flatnonzero(_special()[points]), side="right")
    for row in np.unique(rows).tolist():
        found[row] = _shown(found[row])
    return found


def _shown(text: str) -> str:
    return _HIDDEN.sub("", _EMOJI.sub(lambda match: chr(_emoji_point(match[0])), text))


@functools.cache
def _special() -> np.ndarray:
    """Whether a code point (bool) hides, or makes or is an emoji that decomposition would not keep."""
    special = np.zeros(0x110000, bool)
    for first, last in HIDDEN:
        special[first : last + 1] = True
    special[[point for point in range(0x20000) if chr(point) == "\u20e3" or _EMOJI.match(chr(point))]] = True
    return special


def _missing(text: Any) -> str:
    if text is None or text is pd.NA or (isinstance(text, float) and text != text):
        return ""
    raise TypeError(f"a comment must be a string or missing, got {type(text).__name__}: {text!r:.60}")


def _split_marks(text: str) -> str:
    """The text with a joiner, which is dropped later, after every MOST_MARKS marks in a row."""
    return _RUN.sub("\\g<0>\u034f", text)


def _clean(text: str) -> str:
    """One text without HTML tags, entities and line ends."""
    if "<" in text:
        text = _TAG.sub(" ", text)
    if "&" in text:
        text = _shown(html.unescape(text))
    if len(text) > LONG_TEXT:
        text = _split_marks(text)
    return text.replace("\n", " ") if "\n" in text else text


def _code_points(texts: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """All texts as one array of folded code points and one of their kinds; every text ends with a line end."""
    whole = unicodedata.normalize("NFKD", "\n".join(map(_clean, _visible(texts))) + "\n").casefold()
    whole = _SITE.sub(f" {chr(SITE)} ", _SCHEME.sub(f" {chr(LINK)} ", whole))
    whole = _SMILEY.sub(chr(SMILE), _HANDLE.sub(f" {chr(MENTION)} ", whole))
    points = np.frombuffer(whole.encode("utf-32-le", "surrogatepass"), np.uint32)
    kinds, fold = _characters()
    kind = kinds[points]
    kept = kind != DROPPED
    kind, points = kind[kept], fold[points[kept]]
    # "soooo" and "so" are one word, "!!!" one sign; digits keep their number.
    first = np.flatnonzero(np.r_[True, points[1:] != points[:-1]])
    length = np.diff(np.r_[first, len(points)])
    run_kind = kind[first]
    long = ((length > 2) | (run_kind == SIGN)) & (points[first] != ZERO) & (run_kind < NEWLINE)
    kept = ~np.repeat(long, length)
    kept[first] = True
    kind, points = kind[kept], points[kept]
    join = np.flatnonzero(kind == JOINER)
    inner = join[(join > 0)]
    inner = inner[(points[inner - 1] == ZERO) & (points[inner + 1] == ZERO)]
    kind[join] = SPACE
    kind[inner] = LETTER
    return points, kind


def _mix(value: np.ndarray) -> np.ndarray:
    """Spread the bits of 64-bit hashes (the finaliser of MurmurHash3)."""
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ (value >> np.uint64(33))


@dataclass(frozen=True)
class Encoded:
    """Texts as integers: hash slots of words and of word parts, each with the row it belongs to, and the binned shape.

    A slot is there once a row, however often the text repeats it.
    `rules` is rows by (emoji only, mention only), `silent` marks texts with neither word nor link.
    """

    tokens: tuple[np.ndarray, np.ndarray]
    parts: tuple[np.ndarray, np.ndarray]
    shape: np.ndarray
    rules: np.ndarray
    silent: np.ndarray
    words: np.ndarray

    def weights(self, family: str) -> np.ndarray:
        """1 / ∛(number of distinct features) of each row, 1 for an empty one: keeps long texts from shouting."""
        return 1.0 / np.cbrt(np.maximum(np.bincount(getattr(self, family)[1], minlength=len(self.words)), 1))


def encode(texts: Sequence[Any]) -> Encoded:
    """Turn texts into what the linear model looks up; every row depends on its own text alone."""
    points, kind = _code_points(texts)
    n, rows = len(texts), np.cumsum(kind == NEWLINE, dtype=np.int32)
    is_token = (kind >= LETTER) & (kind < NEWLINE)
    is_letter = kind == LETTER
    inside = np.r_[False, is_letter[1:] & is_letter[:-1]]
    start = np.flatnonzero(is_token & ~inside)
    end = np.flatnonzero(is_token & ~np.r_[inside[1:], False]) + 1

    # Rolling polynomial hash: the hash of any stretch is a difference of prefix sums, in exact arithmetic mod 2^64.
    base = np.uint64(0x9E3779B97F4A7C15)
    inverse = np.uint64(pow(int(base), -1, 1 << 64))
    power = np.cumprod(np.full(len(points), base, np.uint64))
    back = np.cumprod(np.full(len(points), inverse, np.uint64))
    prefix = np.r_[np.uint64(0), np.cumsum(points * power)]
    word = _mix((prefix[end] - prefix[start]) * back[start])
    row = rows[start]

    slots, owners = [word], [row]
    for gap, salt in ((1, np.uint64(3)), (2, np.uint64(5))):
        if len(word) > gap:
            same = row[gap:] == row[:-gap]
            slots.append(_mix(word[:-gap][same] * salt + word[gap:][same]))
            owners.append(row[gap:][same])
    at = np.flatnonzero(inside[1:-2] & inside[2:-1] & inside[3:])
    part = (prefix[at + 4] - prefix[at]) * back[at]
    part = _mix(part + np.where(inside[at], np.uint64(7), np.uint64(11)))

    shape, words = _shape(points, kind, start, row, n)
    only_signs = words + shape[:, 1] == 0
    emoji_only = only_signs & (shape[:, 3] > 0) & (shape[:, 2] == 0)
    mention_only = only_signs & (shape[:, 2] > 0)
    rules = np.column_stack([emoji_only, mention_only])
    tokens = _distinct(np.concatenate(slots), np.concatenate(owners))
    return Encoded(tokens, _distinct(part, rows[at]), _binned(shape), rules, only_signs, words)


def _distinct(hashes: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slot and row of every feature, once a row: saying a thing ten times tells no more than saying it once."""
    keys = np.sort((row.astype(np.int64) << HASH_BITS) | (hashes >> np.uint64(64 - HASH_BITS)).astype(np.int64))
    keys = keys[np.flatnonzero(np.diff(keys, prepend=-1))]
    return (keys & ((1 << HASH_BITS) - 1)).astype(np.int32), (keys >> HASH_BITS).astype(np.int32)


def _shape(
    points: np.ndarray, kind: np.ndarray, start: np.ndarray, row: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Counts per text, in the order of SHAPE_BINS, and the number of words.

    Where a script has no spaces, two Han or kana characters, or four Thai, Lao, Khmer or Burmese ones, count as a word.
    """
    token, point = kind[start], points[start]

    def count(chosen: np.ndarray) -> np.ndarray:
        return np.bincount(row[chosen], minlength=n)

    words = count(token == LETTER) + -(-count(token == HAN) // 2) + -(-count(token == THAI) // 4)
    money = np.isin(point, [ord(c) for c in "$€£¥₹₽₺₩"])
    digits = np.flatnonzero(points == ZERO)
    of_digit = row[np.searchsorted(start, digits, side="right") - 1] if len(digits) else digits
    columns = [
        words,
        count((point == LINK) | (point == SITE)),
        count(point == MENTION),
        count(token == EMOJI),
        count(point == ord("?")),
        count(point == ord("!")),
        np.bincount(of_digit, minlength=n),
        count(money),
        count(point == ord("#")),
    ]
    return np.column_stack(columns), words


def _binned(shape: np.ndarray) -> np.ndarray:
    """Each count as the index of its bin, in one numbering for all counts."""
    out, offset = np.empty(shape.shape, np.int32), 0
    for column, edges in enumerate(SHAPE_BINS.values()):
        out[:, column] = offset + np.searchsorted(edges, shape[:, column], side="right")
        offset += len(edges) + 1
    return out
