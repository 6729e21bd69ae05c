WITH works AS (
    SELECT creator_id, brand, starts_at AS known_at FROM collaborations
    UNION ALL SELECT creator_id, brand, posted_at FROM posts WHERE is_sponsored),
w AS (
    SELECT row_id, count(DISTINCT w.brand) FILTER (known_at >= s.history_end - INTERVAL 90 DAY) AS brands
    FROM asked s JOIN works w ON w.creator_id = s.creator_id AND known_at < s.starts_at GROUP BY row_id),
d AS (
    SELECT row_id, count(*) FILTER (same_creator AND same_brand) AS pair, count(*) FILTER (same_creator) AS creator,
        count(*) FILTER (same_brand) AS brand, max(starts_at) FILTER (same_creator) AS latest,
        min(starts_at) FILTER (same_creator AND same_brand) AS first_pair,
        max(starts_at) FILTER (same_creator AND same_brand) AS last_pair
    FROM earlier_deals GROUP BY row_id),
p AS (
    SELECT row_id, avg(is_sponsored::INT) FILTER (recent) AS lately, avg(is_sponsored::INT) AS year,
        max(posted_at) FILTER (is_sponsored) AS latest
    FROM year_posts GROUP BY row_id)
SELECT s.row_id, s.brand, coalesce(pair, 0) AS deals_with_brand, days(s.starts_at, first_pair) AS days_since_first_deal,
    days(s.starts_at, last_pair) AS days_since_deal, coalesce(creator, 0) AS creator_deals,
    coalesce(d.brand, 0) AS brand_deals, coalesce(brands, 0) AS brands_90d, lately AS sponsored_share,
    year AS sponsored_share_year, CASE WHEN rested > s.history_end THEN 0 ELSE days(s.history_end, rested) END AS rest_days
FROM asked s LEFT JOIN d USING (row_id) LEFT JOIN w USING (row_id) LEFT JOIN p USING (row_id),
LATERAL (SELECT max(at_) AS rested FROM (VALUES (d.latest), (p.latest)) both_of(at_))
