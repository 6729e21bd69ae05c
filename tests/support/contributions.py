"""What a contributor writes who adds a feature column, a recipe and a table, as CONTRIBUTING says."""

from __future__ import annotations

from pathlib import Path

COLUMN, RECIPE, TABLE, TABLE_COLUMN = "spend_per_hour", "firm", "stories", "story_replies_year"
Step = tuple[str, str, str]  # the file, what stands there once, and what takes its place


def _after(file: str, mark: str, text: str) -> Step:
    return file, mark, mark + text


FEATURE = (
    _after("features/families/promotion.py", "\nFEATURES = (\n", f"""\
    Feature(
        name="{COLUMN}",
        family=FAMILY,
        entity="deal",
        label="price per hour of promotion",
        unit="US dollars",
        formula="spend / promotion_hours",
        low=0,
        as_of=TERMS,
    ),
"""),
    _after("features/families/promotion.py", "    return {\n", f"""\
        "{COLUMN}": over.ratio(t["spend"], t["promotion_hours"]),
"""),
    _after("tests/features/families/oracle/promotion.sql", "SELECT s.row_id, promotion_hours, ", f"""\
spend / promotion_hours AS {COLUMN}, """),
)  # fmt: skip

RECIPES = (
    _after("models/estimators/rate.py", "\nRECIPES = (\n", f"""\
    Recipe("{RECIPE}", "mixed", {{"strength": 3.0}}),
"""),
)  # fmt: skip

DECLARED = "\nTABLES: dict[str, pa.DataFrameSchema] = {\n    schema.name: schema for schema in ("
TABLES = (
    ("features/history/contract.py", DECLARED, f"""
STORIES = _table(
    "stories",
    {{
        "story_id": _key("names the row"),
        "creator_id": _key("who posted it"),
        "posted_at": column("time", "when it went live", required=True, unit="UTC", past=True),
        "replies": _amount("replies"),
    }},
    meaning="what creators showed for a day",
    key="story_id",
    optional=True,
    references=(
        Reference("creator_id", "creators", "creator_id", "Add the creator to creators, or leave the story out."),
    ),
)
{DECLARED}STORIES, """),
    _after("features/history/source.py", "    conversions: ir.Table | None\n", f"""\
    {TABLE}: ir.Table | None
"""),
    _after("features/families/feature.py", '\nTERMS = "the deal\'s own terms, known when it is offered"\n', """\
STORIES_365 = "stories before the start, from 365 days before history_end on"
"""),
    _after("features/usage.py", "from features.families.feature import ", "STORIES_365, "),
    _after("features/usage.py", '    COMMENTS_365: "comments",\n', """\
    STORIES_365: "stories",
"""),
    _after("features/families/audience.py", "from features.families.feature import ", "STORIES_365, "),
    _after("features/families/audience.py", "\nFEATURES = (\n", f"""\
    Feature(
        name="{TABLE_COLUMN}",
        family=FAMILY,
        entity="creator",
        label="replies to a usual story",
        unit="replies",
        formula="median of replies",
        low=0,
        as_of=STORIES_365,
    ),
"""),
    _after("features/matrix.py", 'pieces.append((self._from_comments(creators), ("creator_id", AS_OF)))\n', """\
        if audience in wanted:
            pieces.append((self._from_stories(creators), ("creator_id", AS_OF)))
"""),
    _after("features/matrix.py", "moments = (", """self.tables["stories"].posted_at, """),
    _after("features/matrix.py", ".aggregate(**comments.from_comments(c))\n", f"""\

    def _from_stories(self, creators: ir.Table) -> ir.Table:
        s = before(self.tables["stories"], "posted_at", creators)
        return s.group_by("creator_id", AS_OF).aggregate({TABLE_COLUMN}=s.replies.median())
"""),
    _after("tests/features/families/oracle/audience.sql", "SELECT row_id, z.followers::DOUBLE AS followers, ", f"""\
(SELECT median(replies) FROM stories t JOIN asked q ON q.creator_id = t.creator_id
     WHERE q.row_id = s.row_id AND t.posted_at < q.starts_at AND t.posted_at >= q.history_end - INTERVAL 365 DAY)
        AS {TABLE_COLUMN}, """),
    _after("tests/features/families/oracle/views.sql", "UNION SELECT CAST(starts_at AS DATE) FROM collaborations",
           " UNION SELECT CAST(posted_at AS DATE) FROM stories"),
    _after("tests/support/small_world.py", '        "posts": posts,\n', """\
        "stories": posts[["creator_id"]].assign(
            story_id=posts.post_id, posted_at=posts.posted_at + pd.Timedelta("6h"), replies=_counts(rng, len(posts), 9)
        ),
"""),
)  # fmt: skip


def write(project: Path, steps: tuple[Step, ...]) -> None:
    """Carry out the steps in a copy of the project. Raises ValueError where it is not as a step expects it."""
    for file, old, new in steps:
        path = project / file
        text = path.read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise ValueError(f"{file} has {text.count(old)} times {old!r}, expected once")
        path.write_text(text.replace(old, new), encoding="utf-8")
