-- The last 30 % of the ads that spent money, without what came of them; the columns as in data/collaborations.sql.
WITH ads AS (
    SELECT *,
           row_number() OVER (ORDER BY ad_id) AS place,
           row_number() OVER (PARTITION BY Spent > 0 ORDER BY ad_id)
               <= 0.7 * count(*) OVER (PARTITION BY Spent > 0) AS is_past
    FROM read_csv('data/export/KAG_conversion_data.csv', header = true)
)
SELECT CAST(ad_id AS VARCHAR) AS candidate_id,
       age || gender || '-' || interest AS creator_id,
       CAST(xyz_campaign_id AS VARCHAR) AS brand,
       CAST(interest AS VARCHAR) AS product_niche,
       TIMESTAMP '2017-01-01' + (place - 1) * INTERVAL 6 HOUR AS starts_at,
       CAST(24 AS DOUBLE) AS promotion_hours,
       1 AS deliverables,
       CAST(Spent AS DOUBLE) AS spend
FROM ads
WHERE Spent > 0
  AND NOT is_past
ORDER BY ad_id
