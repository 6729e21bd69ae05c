"""Comment quality: what people write under a creator's posts, who they are, and whether the creator answers.

Comments may be a sample, so every column is a share or a mean. Shares of classes are drawn towards a usual share by
the weight of five comments, so that one comment does not make 100 %. A fan's comment is any that the creator did not
write.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features.families.expressions import days_between, fixed, ratio, unfixed
from features.families.feature import COMMENTS_365, Feature

FAMILY = "comments"
PSEUDO_COMMENTS = 5.0
# usual share of each class, with the words that describe it
CLASSES = {
    "spam": (0.05, "spam"),
    "emoji_only": (0.15, "nothing but emoji"),
    "mention_only": (0.05, "nothing but a mention"),
    "hollow": (0.35, "hollow praise"),
    "substance": (0.25, "of substance"),
    "question": (0.15, "questions"),
    "buying_intent": (0.05, "about buying"),
}


def _share(name: str, label: str, formula: str) -> Feature:
    return Feature(
        name=name,
        family=FAMILY,
        entity="creator",
        label=label,
        unit="share",
        formula=formula,
        low=0,
        high=1,
        as_of=COMMENTS_365,
    )


FEATURES = (
    Feature(
        name="comments_seen",
        family=FAMILY,
        entity="creator",
        label="comments known",
        unit="comments",
        formula="fans' comments in the table",
        low=0,
        as_of=COMMENTS_365,
    ),
    *(
        _share(
            f"{name}_share",
            f"share of comments {words}" if name == "substance" else f"share of comments that are {words}",
            f"(sum of the class's probability over fans' comments + 5 × {usual}) / (their number + 5)",
        )
        for name, (usual, words) in CLASSES.items()
    ),
    _share(
        "repeated_share",
        "share of comments whose text was there before with this creator",
        "fans' comments whose text a fan had left with this creator within the year / fans' comments",
    ),
    _share(
        "copied_share",
        "share of comments whose text was with another creator before",
        "fans' comments whose text a fan had left with another creator at any time before / fans' comments",
    ),
    _share(
        "distinct_authors_share",
        "authors per comment",
        "different authors of fans' comments / fans' comments of known author",
    ),
    _share(
        "returning_share",
        "share of comments by people who came back from another post",
        "fans' comments whose author's previous comment was under another post of the creator within the year / "
        "fans' comments of known author",
    ),
    Feature(
        name="replies_per_comment",
        family=FAMILY,
        entity="creator",
        label="the creator's replies per comment",
        unit="ratio",
        formula="comments by the creator / fans' comments",
        low=0,
        as_of=COMMENTS_365,
    ),
    Feature(
        name="reply_hours",
        family=FAMILY,
        entity="creator",
        label="how soon the creator replies",
        unit="hours",
        formula="median hours from the latest fan's comment under the post to the creator's",
        low=0,
        as_of=COMMENTS_365,
    ),
    Feature(
        name="comment_words",
        family=FAMILY,
        entity="creator",
        label="length of comments",
        unit="words",
        formula="mean number of words of fans' comments",
        low=0,
        as_of=COMMENTS_365,
    ),
    _share("long_comment_share", "share of long comments", "fans' comments of at least 8 words / fans' comments"),
)


def prepare(comments: ir.Table, posts: ir.Table, texts: ir.Table) -> ir.Table:
    """Per comment: its creator, its text's classes on the exact grid, and what was there before it.

    texts: one row per distinct text with `text`, `text_id`, the classes and `words`.
    """
    owners = posts.select(_post="post_id", _owner="creator_id")
    c = comments.left_join(owners, [comments.post_id == owners._post])
    c = c.mutate(creator_id=ibis.coalesce(c.creator_id, c._owner), fan=~c.by_creator.fill_null(False))
    ids = texts.select("text_id", _text="text")
    c = c.filter(c.creator_id.notnull()).inner_join(ids, [c.text == ids._text])
    c = c.drop("text", "_text", "_post", "_owner")
    scored = texts.select(
        _text_id="text_id",
        words=texts.words.cast("int32"),
        **{name: fixed(texts[name].cast("float64")).cast("int32") for name in CLASSES},
    )
    # windows first, on as few columns as can be: they sort all that they are given
    c = _with_copies(_with_earlier(c), _first_uses(c))
    return c.inner_join(scored, [c.text_id == scored._text_id]).drop("text_id", "_text_id")


def _first_uses(c: ir.Table) -> ir.Table:
    """When, and with which creator, fans first wrote each text, and when they first did with another one."""
    first = c.filter(c.fan).group_by("text_id", "creator_id").aggregate(at=lambda t: t.commented_at.min())
    place = ibis.row_number().over(ibis.window(group_by="text_id", order_by=["at", "creator_id"]))
    first = first.mutate(place=place).filter(lambda t: t.place < 2)
    return first.group_by(_id="text_id").aggregate(
        _first_at=first.at.max(where=first.place == 0),
        _first_creator=first.creator_id.max(where=first.place == 0),
        _second_at=first.at.max(where=first.place == 1),
    )


def _with_copies(c: ir.Table, uses: ir.Table) -> ir.Table:
    """Adds `copied`: whether a fan had written the same text under another creator's post before."""
    j = c.left_join(uses, [c.text_id == uses._id])
    elsewhere = ibis.ifelse(j.creator_id == j._first_creator, j._second_at, j._first_at)
    copied = (elsewhere < j.commented_at).fill_null(False)
    return j.mutate(copied=copied).drop("_id", "_first_at", "_first_creator", "_second_at")


def _with_earlier(c: ir.Table) -> ir.Table:
    """Adds what the comment's author and text, and the fans of its post, did just before it."""
    in_time = ["commented_at", "comment_id"]
    by_author = ibis.window(group_by=["creator_id", "fan", "author_id"], order_by=in_time)
    by_text = ibis.window(group_by=["creator_id", "fan", "text_id"], order_by=in_time)
    by_post = ibis.window(group_by="post_id", order_by=in_time, preceding=None, following=0)
    fan_at = ibis.ifelse(c.fan, c.commented_at, ibis.null(c.commented_at.type()))
    c = c.mutate(
        author_at=c.commented_at.lag(1).over(by_author),
        author_post=c.post_id.lag(1).over(by_author),
        text_at=c.commented_at.lag(1).over(by_text),
        fan_before=fan_at.max().over(by_post),
    )
    replied = ibis.ifelse(c.fan, ibis.null("float64"), days_between(c.commented_at, c.fan_before) * 24.0)
    c = c.mutate(authored=c.author_id.notnull(), elsewhere=c.author_post != c.post_id, reply_hours=replied)
    return c.drop("fan_before", "author_post", "post_id", "author_id", "comment_id")


def from_comments(c: ir.Table) -> dict[str, ir.Value]:
    """Aggregates over the comments of a year before each key."""
    known_author = c.fan & c.authored
    came_back = (c.author_at >= c.since).fill_null(False)
    return {
        "fan_n": c.count(where=c.fan),
        "reply_n": c.by_creator.cast("int32").sum(),
        **{f"{name}_sum": c[name].sum(where=c.fan) for name in CLASSES},
        "repeated_n": c.count(where=c.fan & (c.text_at >= c.since).fill_null(False)),
        "copied_n": c.count(where=c.fan & c.copied),
        "authored_n": c.count(where=known_author),
        "authors_n": c.count(where=known_author & ~came_back),
        "returning_n": c.count(where=known_author & came_back & c.elsewhere),
        "words_sum": c.words.sum(where=c.fan),
        "long_n": c.count(where=c.fan & (c.words >= 8)),
        "reply_hours": c.reply_hours.median(),
    }


def finish(t: ir.Table) -> dict[str, ir.Value]:
    """Shares of the sums; a creator without a fan's comment in the year has none of them."""
    n = t.fan_n.nullif(0).cast("float64")
    shares = {
        f"{name}_share": (unfixed(t[f"{name}_sum"]) + PSEUDO_COMMENTS * usual) / (n + PSEUDO_COMMENTS)
        for name, (usual, _) in CLASSES.items()
    }
    return {
        "comments_seen": n,
        **shares,
        "repeated_share": ratio(t.repeated_n, n),
        "copied_share": ratio(t.copied_n, n),
        "distinct_authors_share": ratio(t.authors_n, t.authored_n),
        "returning_share": ratio(t.returning_n, t.authored_n),
        "replies_per_comment": ratio(t.reply_n, n),
        "comment_words": ratio(t.words_sum, n),
        "long_comment_share": ratio(t.long_n, n),
    }
