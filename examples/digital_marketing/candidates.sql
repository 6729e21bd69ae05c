-- The last eight of the 28 days; the columns as in data/collaborations.sql.
SELECT CAST(id AS VARCHAR) AS candidate_id,
       lower(campaign_name) AS creator_id,
       'advertiser' AS brand,
       'unknown' AS product_niche,
       'sales' AS objective,
       CAST(c_date AS TIMESTAMP) AS starts_at,
       CAST(24 AS DOUBLE) AS promotion_hours,
       mark_spent / 73.0 AS spend
FROM read_csv('data/export/Marketing.csv', header = true, delim = ';', decimal_separator = ',')
WHERE mark_spent > 0
  AND c_date >= DATE '2021-02-21'
ORDER BY starts_at, creator_id
