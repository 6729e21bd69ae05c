WITH p AS (
    SELECT *, likes + comments AS engaged,
        least(div(likes + comments, followers), CASE WHEN div(likes + comments, followers) IS NOT NULL THEN 100.0 END) AS rate,
        CASE WHEN div(likes + comments, views) > 100 THEN 100.0 ELSE div(likes + comments, views) END AS per_view,
        CASE WHEN follows THEN days(posted_at, before_at) END AS gap
    FROM year_posts),
-- the two spreads are taken on a grid of 1/65536, so that equal values have none at all
q AS (SELECT *, round(ln(rate + 1e-6) * 65536) / 65536 AS log_rate, round(gap * 65536) / 65536 AS coarse_gap FROM p)
SELECT s.row_id,
    median(rate) FILTER (recent) AS engagement_rate_median,
    exact_mean(CASE WHEN recent THEN rate END) AS engagement_rate_mean,
    median(rate) AS engagement_rate_year,
    median(per_view) FILTER (recent) AS engagement_per_view_median,
    exact_mean(CASE WHEN recent THEN per_view END) AS engagement_per_view_mean,
    CASE WHEN count(log_rate) > 1 THEN stddev_pop(log_rate) END AS engagement_spread,
    div(sum(comments) FILTER (recent AND likes IS NOT NULL), sum(likes) FILTER (recent AND comments IS NOT NULL))
        AS comments_per_like,
    div(sum(comments) FILTER (likes IS NOT NULL), sum(likes) FILTER (comments IS NOT NULL)) AS comments_per_like_year,
    div(sum(saves) FILTER (recent AND likes IS NOT NULL), sum(likes) FILTER (recent AND saves IS NOT NULL)) AS saves_per_like,
    div(sum(saves) FILTER (likes IS NOT NULL), sum(likes) FILTER (saves IS NOT NULL)) AS saves_per_like_year,
    div(sum(shares) FILTER (recent AND likes IS NOT NULL), sum(likes) FILTER (recent AND shares IS NOT NULL))
        AS shares_per_like,
    div(sum(shares) FILTER (likes IS NOT NULL), sum(likes) FILTER (shares IS NOT NULL)) AS shares_per_like_year,
    div(div(sum(engaged) FILTER (rate >= 0 AND is_sponsored), sum(q.followers) FILTER (rate >= 0 AND is_sponsored)),
        div(sum(engaged) FILTER (rate >= 0 AND NOT is_sponsored), sum(q.followers) FILTER (rate >= 0 AND NOT is_sponsored)))
        AS engagement_sponsored_ratio,
    div(div(sum(engaged) FILTER (rate >= 0 AND recent), sum(q.followers) FILTER (rate >= 0 AND recent)),
        div(sum(engaged) FILTER (rate >= 0), sum(q.followers) FILTER (rate >= 0))) AS engagement_trend,
    CASE WHEN count(post_id) > 0 THEN count(post_id) FILTER (recent) END AS posts_90d,
    median(gap) AS posting_gap_days,
    CASE WHEN count(gap) > 1 THEN div(stddev_pop(coarse_gap), avg(coarse_gap)) END AS posting_irregularity,
    greatest(days(s.history_end, max(posted_at)), CASE WHEN max(posted_at) IS NOT NULL THEN 0 END) AS days_since_post
FROM asked s LEFT JOIN q USING (row_id) GROUP BY s.row_id, s.history_end
