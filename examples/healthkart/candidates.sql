-- The last two of the six months, at the same monthly price; the columns as in data/collaborations.sql.
SELECT influencer_id || '-' || campaign || '-' || month AS candidate_id,
       CAST(influencer_id AS VARCHAR) AS creator_id,
       CASE split_part(campaign, '_', 1)
           WHEN 'MB' THEN 'MuscleBlaze' WHEN 'HKV' THEN 'HKVitals' WHEN 'Gritzo' THEN 'Gritzo' END AS brand,
       CASE split_part(campaign, '_', 1)
           WHEN 'MB' THEN 'Fitness' WHEN 'HKV' THEN 'Wellness' WHEN 'Gritzo' THEN 'Nutrition' END AS product_niche,
       'IN' AS product_country,
       DATE '2025-01-21' + to_months(CAST(month AS INTEGER)) AS starts_at,
       CAST(date_diff('hour', starts_at, DATE '2025-01-21' + to_months(CAST(month AS INTEGER) + 1)) AS DOUBLE) AS promotion_hours,
       total_payout / (6 * 4) / 86.0 AS spend
FROM read_csv('data/export/payouts.csv', header = true),
     (SELECT DISTINCT campaign FROM read_csv('data/export/tracking_data.csv', header = true)),
     (SELECT unnest(range(4, 6)) AS month)
WHERE total_payout > 0
ORDER BY starts_at, CAST(influencer_id AS BIGINT), campaign
