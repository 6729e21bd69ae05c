WITH a AS (
    SELECT row_id,
        last(followers ORDER BY posted_at, post_id) FILTER (followers IS NOT NULL) AS now,
        coalesce(last(followers ORDER BY posted_at, post_id) FILTER (followers IS NOT NULL AND NOT recent),
                 first(followers ORDER BY posted_at, post_id) FILTER (followers IS NOT NULL)) AS earlier,
        max(CASE WHEN followers > 0 AND before_followers > 0 THEN ln(followers / before_followers::DOUBLE) END) AS up,
        min(CASE WHEN followers > 0 AND before_followers > 0 THEN ln(followers / before_followers::DOUBLE) END) AS down,
        median(div(views, followers)) FILTER (recent) AS lately,
        median(div(views, followers)) AS year
    FROM year_posts GROUP BY row_id)
SELECT row_id, z.followers::DOUBLE AS followers, size_class(z.followers) AS tier,
    CASE WHEN now > 0 AND earlier > 0 THEN ln(now / earlier::DOUBLE) END AS followers_growth_90d,
    up AS followers_jump, down AS followers_drop, lately AS views_per_follower, year AS views_per_follower_year, platform
FROM spine s LEFT JOIN a USING (row_id) LEFT JOIN creators c USING (creator_id)
JOIN sizes z ON z.creator_id = s.creator_id AND z.starts_at = s.starts_at
