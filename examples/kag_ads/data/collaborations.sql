-- An ad is a collaboration: an audience (the creator) shown one ad (the deal) of one campaign (the brand).
-- Ads carry no dates but are numbered as they were made: one every 6 hours from an invented start, each live 24 hours.
WITH ads AS (
    SELECT *,
           row_number() OVER (ORDER BY ad_id) AS place,
           row_number() OVER (PARTITION BY Spent > 0 ORDER BY ad_id)
               <= 0.7 * count(*) OVER (PARTITION BY Spent > 0) AS is_past
    FROM read_csv('export/KAG_conversion_data.csv', header = true)
)
SELECT CAST(ad_id AS VARCHAR) AS collaboration_id,
       CAST(fb_campaign_id AS VARCHAR) AS campaign_id,
       age || gender || '-' || interest AS creator_id,
       CAST(xyz_campaign_id AS VARCHAR) AS brand,
       CAST(interest AS VARCHAR) AS product_niche,
       TIMESTAMP '2017-01-01' + (place - 1) * INTERVAL 6 HOUR AS starts_at,
       CAST(24 AS DOUBLE) AS promotion_hours,
       1 AS deliverables,
       CAST(Spent AS DOUBLE) AS spend,
       CAST(Total_Conversion AS BIGINT) AS conversions,
       starts_at + INTERVAL 24 HOUR AS observed_until,
       CAST(Clicks AS BIGINT) AS clicks
FROM ads
WHERE Spent > 0  -- 207 ads spent nothing: they have no rate
  AND is_past    -- the other 281 are the candidates
ORDER BY ad_id
