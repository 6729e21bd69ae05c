-- An influencer's part in one campaign during one month, counted from the 21st. All four campaigns run all the time: every
-- influencer has a part in each of them every month, also where no order came of it.
WITH parts AS (
    SELECT CAST(influencer_id AS BIGINT) AS influencer_id,
           campaign,
           month,
           DATE '2025-01-21' + to_months(CAST(month AS INTEGER)) AS first_day,
           DATE '2025-01-21' + to_months(CAST(month AS INTEGER) + 1) AS end_day,
           total_payout / (6 * 4) / 86.0 AS spend  -- even over six months and four campaigns; 86 rupees a dollar
    FROM read_csv('export/payouts.csv', header = true),
         (SELECT DISTINCT campaign FROM read_csv('export/tracking_data.csv', header = true)),
         (SELECT unnest(range(4)) AS month)  -- the last two of the six months are the candidates
    WHERE total_payout > 0  -- nobody in this export; somebody paid nothing would have no rate
),
sales AS (
    SELECT CAST(influencer_id AS BIGINT) AS influencer_id, campaign, transaction_date, orders, revenue / 86.0 AS revenue
    FROM read_csv('export/tracking_data.csv', header = true)
    WHERE influencer_id IS NOT NULL  -- 2,489 rows are of advertisements or of nobody
)
SELECT parts.influencer_id || '-' || parts.campaign || '-' || month AS collaboration_id,
       parts.campaign AS campaign_id,
       CAST(parts.influencer_id AS VARCHAR) AS creator_id,
       CASE split_part(parts.campaign, '_', 1)
           WHEN 'MB' THEN 'MuscleBlaze' WHEN 'HKV' THEN 'HKVitals' WHEN 'Gritzo' THEN 'Gritzo' END AS brand,
       CASE split_part(parts.campaign, '_', 1)
           WHEN 'MB' THEN 'Fitness' WHEN 'HKV' THEN 'Wellness' WHEN 'Gritzo' THEN 'Nutrition' END AS product_niche,
       'IN' AS product_country,
       first_day AS starts_at,
       CAST(date_diff('hour', first_day, end_day) AS DOUBLE) AS promotion_hours,
       spend,
       CAST(coalesce(sum(orders), 0) AS BIGINT) AS conversions,
       TIMESTAMP '2025-05-21' AS observed_until,  -- as told on the day on which the candidates are asked about
       coalesce(sum(revenue), 0) AS revenue
FROM parts
LEFT JOIN sales
    ON sales.influencer_id = parts.influencer_id
    AND sales.campaign = parts.campaign
    AND transaction_date >= first_day
    AND transaction_date < end_day
GROUP BY parts.influencer_id, parts.campaign, month, first_day, end_day, spend
ORDER BY first_day, parts.influencer_id, parts.campaign
