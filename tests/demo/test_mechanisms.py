"""The mechanisms that the made-up market says it has (docs/demo-market.md) are in its data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from demo import MarketSettings, World, make_market

NOW = pd.Timestamp(MarketSettings().now)


@pytest.fixture(scope="module")
def world() -> World:
    return make_market(MarketSettings(), seed=1)


@pytest.fixture(scope="module")
def deals(world: World) -> pd.DataFrame:
    """Collaborations with their creator's row and their final count."""
    finals = world.finals.rename(columns={"conversions": "final"})
    return world.collaborations.merge(world.creators, on="creator_id").merge(finals, on="collaboration_id")


def rank_correlation(a: pd.Series, b: pd.Series) -> float:
    return float(pd.Series(a.to_numpy()).corr(pd.Series(b.to_numpy()), method="spearman"))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_engagement_rate_alone_tells_little(seed: int) -> None:
    made = make_market(MarketSettings(candidates=4_000, comments_per_creator=0), seed)
    posts = made.posts
    shown = ((posts["likes"] + posts["comments"]) / posts["followers"]).groupby(posts["creator_id"]).mean()
    assert abs(rank_correlation(made.candidates["creator_id"].map(shown), made.truth["rate"])) < 0.2
    assert abs(rank_correlation(made.truth["er"], made.truth["rate"])) < 0.2


def test_fees_rise_with_followers_less_than_in_proportion_and_spread_tenfold(deals: pd.DataFrame) -> None:
    single = deals[deals["deliverables"] == 1]
    size, fee = np.log(single["followers"]), np.log(single["spend"])
    slope, level = np.polyfit(size, fee, 1)
    assert 0.55 < slope < 0.9
    rest = fee - slope * size - level
    assert 5 < np.exp(rest.quantile(0.95) - rest.quantile(0.05)) < 16


def test_engagement_falls_with_size_and_for_sponsored_posts(world: World) -> None:
    posts = world.posts.merge(world.creators[["creator_id", "platform"]], on="creator_id")
    posts = posts[posts["platform"] == "instagram"]
    posts["rate"] = (posts["likes"] + posts["comments"]) / posts["followers"]
    by_size = posts.groupby(pd.cut(posts["followers"], [0, 1e4, 1e5, 1e6, 1e9]), observed=True)["rate"].median()
    assert by_size.is_monotonic_decreasing
    within = posts["rate"] / posts.groupby("creator_id")["rate"].transform("mean")
    paid = within.groupby(posts["is_sponsored"]).mean()
    assert 0.75 < paid[True] / paid[False] < 0.95


def test_hiring_prefers_the_large_the_dear_and_the_successful(world: World, deals: pd.DataFrame) -> None:
    hired = deals["creator_id"].value_counts()
    times = world.creators["creator_id"].map(hired).fillna(0)
    assert rank_correlation(world.creators["followers"], times) > 0.2
    repeated = deals.duplicated(["creator_id", "brand"])
    assert 0.25 < repeated.mean() < 0.55
    # Only first deals with a brand are counted below: brands that hire again are another mechanism.
    late = deals["starts_at"] >= deals["starts_at"].quantile(0.4)
    earlier = deals[~late].groupby("creator_id")[["final", "mean"]].sum()
    luck = earlier["final"] / earlier["mean"]
    later = deals.loc[late & ~repeated, "creator_id"].value_counts().reindex(luck.index).fillna(0)
    assert rank_correlation(luck, later) > 0.1


def test_promotions_are_shorter_and_dearer_per_conversion_for_the_large(deals: pd.DataFrame) -> None:
    band = pd.cut(deals["followers"], [0, 1e4, 1e5, 1e6, 1e9])
    hours = deals.groupby(band, observed=True)["promotion_hours"].median()
    assert hours.iloc[1] > 72 > 24 > hours.iloc[3]
    rate = (deals["final"] / deals["spend"]).groupby(band, observed=True).median()
    assert rate.iloc[0] > 1.5 * rate.iloc[3]


def test_results_arrive_late(deals: pd.DataFrame) -> None:
    end = deals["starts_at"] + pd.to_timedelta(deals["promotion_hours"], unit="h") + pd.Timedelta(days=30)
    done, young = end <= NOW, deals["starts_at"] > NOW - pd.Timedelta(days=7)
    assert (deals.loc[done, "conversions"] == deals.loc[done, "final"]).all()
    assert (deals.loc[done, "observed_until"] == end[done]).all()
    assert (deals.loc[~done, "observed_until"] == NOW).all()
    assert (deals["conversions"] <= deals["final"]).all()
    assert deals.loc[young, "conversions"].sum() < 0.8 * deals.loc[young, "final"].sum()


def test_half_of_the_conversions_come_early_and_the_rest_over_weeks(world: World, deals: pd.DataFrame) -> None:
    old = deals[deals["starts_at"] < NOW - pd.Timedelta(days=70)]
    daily = world.conversions.merge(old[["collaboration_id", "starts_at"]], on="collaboration_id")
    day = (pd.to_datetime(daily["date"]) - daily["starts_at"].dt.tz_localize(None)).dt.total_seconds() / 86_400
    share = daily.groupby((day // 1 + 1).clip(upper=14))["conversions"].sum() / daily["conversions"].sum()
    assert 0.3 < share[:2].sum() < 0.7
    assert share[14.0] > 0.02


def test_bought_followers_show_as_jumps_and_as_few_views(world: World) -> None:
    posts = world.posts.sort_values(["creator_id", "posted_at"])
    step = posts["followers"] / posts.groupby("creator_id")["followers"].shift()
    jumped = step.groupby(posts["creator_id"]).max() > 1.15
    assert 0.1 < jumped.mean() < 0.45
    last = posts.groupby("creator_id").tail(10).merge(world.creators[["creator_id", "platform"]], on="creator_id")
    seen = (last["views"] / last["followers"]).groupby([last["creator_id"], last["platform"]]).median().astype(float)
    relative = seen / seen.groupby("platform").transform("median")
    by_jump = relative.groupby(jumped.reindex(relative.index.get_level_values(0)).to_numpy()).median()
    assert by_jump[True] < 0.85 * by_jump[False]


def test_closeness_shows_in_comments_saves_and_regulars_and_pays(world: World) -> None:
    fans = world.comments[~world.comments["by_creator"]]
    worded = fans["text"].str.count(" ").ge(4)
    long = worded.groupby(fans["creator_id"]).mean()
    by_creator = fans[worded].groupby("creator_id")
    regulars = 1 - by_creator["author_id"].nunique() / by_creator.size()
    posts = world.posts.groupby("creator_id")[["saves", "likes"]].sum()
    enough = by_creator.size()[lambda n: n >= 15].index
    signs = pd.DataFrame({"long": long, "regulars": regulars, "saves": posts["saves"] / posts["likes"]}).loc[enough]
    assert rank_correlation(signs["long"], signs["saves"]) > 0.2
    of_candidates = signs.reindex(world.candidates["creator_id"]).reset_index(drop=True)
    assert rank_correlation(signs["regulars"], signs["long"]) > 0.3
    for sign in ("long", "saves", "regulars"):
        assert rank_correlation(of_candidates[sign], world.truth["rate"]) > 0.1, sign


def test_comments_are_of_many_kinds_and_languages(world: World) -> None:
    text = world.comments["text"]
    assert text.nunique() > 3_000
    assert not text.str.contains(r"[{}]").any()
    for part in (
        "where can i buy",
        "where can I buy".lower(),
        "wo kann ich",
        "dónde puedo",
        "où acheter",
        "onde compro",
    ):
        assert text.str.lower().str.contains(part, regex=False).any(), part
    assert 0.02 < world.comments["by_creator"].mean() < 0.3
    hollow = text.str.count(" ") <= 2
    assert 0.3 < hollow.mean() < 0.7


def test_niche_and_country_matter(world: World) -> None:
    candidates = world.candidates.merge(world.creators, on="creator_id")
    rate = np.log(world.truth.set_index("candidate_id")["rate"].reindex(candidates["candidate_id"])).to_numpy()
    for same in (
        candidates["niche"] == candidates["product_niche"],
        candidates["country"] == candidates["product_country"],
    ):
        assert rate[same].mean() > rate[~same].mean() + 0.15
