"""Missing columns, and the names that a foreign export may use for them.

Names are exact; guesses are only shown.
"""

import difflib
import itertools
import re
from collections.abc import Collection, Iterable, Mapping

import pandera.ibis as pa

from features.faults import Fault
from features.history.contract import TABLES

# What exports often call a column of the contract, in small letters and without blanks.
USUAL = {
    "collaboration_id": "collabid collaboration dealid deal dealname bookingid activationid id",
    "campaign_id": "campaign campaignname",
    "creator_id": "creator influencer influencerid creatorname influencername handle username user account accountid "
    "influencerhandle creatorhandle influencerusername creatorusername instagramhandle tiktokhandle profile "
    "channel channelid channelname talent kol publisher publisherid partner partnerid author affiliate affiliateid "
    "affiliatename ambassador ambassadorid blogger streamer tiktoker tiktokername youtuber youtubername instagrammer",
    "brand": "brandname advertiser client company merchant",
    "product_niche": "productcategory category vertical productvertical industry",
    "product_country": "market targetcountry targetmarket",
    "objective": "goal campaigngoal campaignobjective",
    "starts_at": "start startdate startsat startedat golive golivedate livedate publishdate publishedat postdate "
    "launchdate date datum",
    "promotion_hours": "hours duration durationhours promotionlength livehours",
    "deliverables": "numposts numberofposts content pieces assets",
    "spend": "cost costs price fee fees amount amountspent spent totalcost totalspend totalfee budget payout paid rate "
    "investment quote adspend mediaspend marketingspend campaigncost influencerfee creatorfee",
    "conversions": "orders sales purchases conversion acquisitions signups installs results transactions",
    "observed_until": "observeduntil countedat countedon reportdate exportdate exportedat asof lastupdated updatedat",
    "clicks": "linkclicks totalclicks",
    "revenue": "gmv turnover orderrevenue",
    "coupon_redemptions": "redemptions couponuses codeuses",
    "platform": "network socialnetwork source socialmedia",
    "niche": "category vertical topic industry",
    "country": "location region countrycode",
    "language": "lang locale",
    "followers": "followercount followerscount subscribers subscribercount fans audience audiencesize",
    "post_id": "post postid mediaid videoid shortcode contentid id",
    "posted_at": "date postdate posteddate publishdate publishedat createdat timestamp createtime uploaddate",
    "views": "plays viewcount playcount impressions videoviews",
    "likes": "likecount likescount hearts diggcount",
    "comments": "commentcount commentscount",
    "shares": "sharecount reposts retweets",
    "saves": "savecount bookmarks",
    "is_sponsored": "sponsored ad isad paid ispaidpartnership",
    "caption": "description title",
    "comment_id": "comment commentid id",
    "commented_at": "date createdat timestamp publishedat",
    "author_id": "author user userid username commenter",
    "text": "comment commenttext content body message",
    "by_creator": "iscreator isauthor",
    "date": "day conversiondate orderdate",
    "candidate_id": "candidate id dealid rowid",
}
SHOWN = 12
FEW = 2  # missing columns are named one by one up to here


def normal(text: str) -> str:
    """A name without capitals, blanks, marks and characters that do not show."""
    return re.sub(r"[\W_]+", "", text.lower())


def named(names: Iterable[str]) -> list[str]:
    """The names, those that are blank by their place: `Unnamed: 0`, or `Unnamed: 0.1` where that is there already."""
    names = list(names)
    made = []
    for place, one in enumerate(names):
        ends = itertools.chain([""], (f".{i}" for i in itertools.count(1)))
        made.append(one if one.strip() else next(n for end in ends if (n := f"Unnamed: {place}{end}") not in names))
    return made


def likely(given: Collection[str], wanted: Collection[str]) -> dict[str, str]:
    """Names that were given, by the column that each may stand for: by its own name, a usual one, a similar one."""
    free = {normal(one): one for one in reversed([*given]) if one not in wanted and normal(one)}
    pairs = {column: column for column in wanted if column in given}
    for match in (_same, _usual, _similar):
        for column in wanted:
            if column not in pairs and (found := match(column, free)):
                pairs[column] = free.pop(found)
    return pairs


def _same(column: str, free: Mapping[str, str]) -> str | None:
    return next((one for one in free if one == normal(column)), None)


def _usual(column: str, free: Mapping[str, str]) -> str | None:
    usual = USUAL.get(column, "").split()
    # A unit may follow: "Cost (USD)", "fee_usd".
    return next((one for one in free if one in usual or re.sub(r"(usd|us|dollars?|utc)$", "", one) in usual), None)


def _similar(column: str, free: Mapping[str, str]) -> str | None:
    return next(iter(difflib.get_close_matches(normal(column), free, n=1, cutoff=0.8)), None)


def missing_columns(schema: pa.DataFrameSchema, columns: Collection[str]) -> list[Fault]:
    """Faults for columns that are missing, and for optional ones whose name is almost there."""
    required = [column for column, declared in schema.columns.items() if declared.required]
    missing = [column for column in required if column not in columns]
    pairs = likely(columns, [*required, *(column for column in schema.columns if column not in required)])
    faults = [
        Fault(
            schema.name, column, received=repr(given), problem="its name is not exact", remedy=f"Rename it to {column}."
        )
        for column, given in pairs.items()
        if column not in required and given != column and normal(given) == normal(column)
    ]
    if len(missing) > FEW:
        return [_foreign(schema, missing, columns, pairs), *faults]
    single = []
    for column in missing:
        remedy = f"Add it: {schema.columns[column].description}."
        if given := pairs.get(column):
            same = normal(given) == normal(column)
            remedy = f"Rename {given!r}: names of columns are exact." if same else f"{remedy} It may be {given!r}."
        single.append(Fault(schema.name, column, problem="the column is missing", remedy=remedy))
    return single + faults


def _foreign(
    schema: pa.DataFrameSchema, missing: list[str], columns: Collection[str], pairs: Mapping[str, str]
) -> Fault:
    """One fault for a table whose columns have other names."""
    received = ", ".join([*map(repr, columns)][:SHOWN]) + (
        f" and {len(columns) - SHOWN} more" if len(columns) > SHOWN else ""
    )
    renamed = ", ".join(f"{pairs[column]!r} → {column}" for column in missing if column in pairs)
    remedy = f"Likely pairs: {renamed}. " if renamed else ""
    mapped = f", or write {schema.name}.sql, which maps them (docs/data.md)" if schema.name in TABLES else ""
    return Fault(
        schema.name,
        received=received or "no column",
        problem=f"{len(missing)} required columns are missing ({', '.join(missing)})",
        remedy=f"{remedy}Rename the columns{mapped}.",
    )
