WITH n AS (SELECT row_id, niche, count(*) AS n FROM year_posts WHERE niche IS NOT NULL GROUP BY ALL),
a AS (SELECT row_id, sum(n) AS posts, sum((n / total) ** 2) AS herfindahl
      FROM (SELECT *, sum(n) OVER (PARTITION BY row_id) AS total FROM n) GROUP BY row_id),
near AS (
    SELECT row_id, avg((p.niche = s.product_niche)::INT) AS nearness
    FROM spine s JOIN creators c USING (creator_id)
    JOIN (SELECT p.*, k.niche AS owner_niche FROM posts p JOIN creators k USING (creator_id)) p
      ON p.owner_niche = c.niche AND p.niche IS NOT NULL AND p.posted_at < date_trunc('month', s.starts_at)
    GROUP BY row_id)
SELECT s.row_id, c.niche AS creator_niche, s.product_niche, (c.niche = s.product_niche)::DOUBLE AS same_niche,
    div(coalesce(theirs.n, 0), posts) AS niche_post_share, div(coalesce(own.n, 0), posts) AS own_niche_share,
    herfindahl AS niche_concentration, nearness AS niche_nearness, c.country, s.product_country,
    (c.country = s.product_country)::DOUBLE AS same_country, c.language,
    (SELECT avg((k.language = c.language)::INT) FROM creators k WHERE k.country = s.product_country) AS language_match
FROM spine s LEFT JOIN creators c USING (creator_id) LEFT JOIN a USING (row_id) LEFT JOIN near USING (row_id)
LEFT JOIN n theirs ON theirs.row_id = s.row_id AND theirs.niche = s.product_niche
LEFT JOIN n own ON own.row_id = s.row_id AND own.niche = c.niche
