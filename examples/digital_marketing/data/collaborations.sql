-- A campaign's day is a collaboration; the campaign stands for the creator.
SELECT CAST(id AS VARCHAR) AS collaboration_id,
       CAST(campaign_id AS VARCHAR) AS campaign_id,
       lower(campaign_name) AS creator_id,
       'advertiser' AS brand,  -- there is one, and it is not named
       'unknown' AS product_niche,  -- nor is what it sells
       'sales' AS objective,
       CAST(c_date AS TIMESTAMP) AS starts_at,
       CAST(24 AS DOUBLE) AS promotion_hours,
       mark_spent / 73.0 AS spend,  -- 73 rupees a dollar, a round figure for February 2021
       CAST(orders AS BIGINT) AS conversions,
       starts_at + INTERVAL 24 HOUR AS observed_until,
       CAST(clicks AS BIGINT) AS clicks,
       revenue / 73.0 AS revenue
FROM read_csv('export/Marketing.csv', header = true, delim = ';', decimal_separator = ',')
WHERE mark_spent > 0  -- all 308 rows; one that spent nothing would have no rate
  AND c_date < DATE '2021-02-21'  -- the last eight days are the candidates
ORDER BY starts_at, creator_id
