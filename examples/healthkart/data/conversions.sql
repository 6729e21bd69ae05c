-- Orders by day for every part of collaborations.sql, as they were counted on 21 May. A zero on its first day names also
-- the parts without any order: were they left out, only successes would be known early.
SELECT influencer_id || '-' || campaign || '-' || month AS collaboration_id, date, CAST(sum(orders) AS BIGINT) AS conversions
FROM (
    SELECT influencer_id,
           campaign,
           month,
           DATE '2025-01-21' + to_months(CAST(month AS INTEGER)) AS date,
           0 AS orders
    FROM read_csv('export/payouts.csv', header = true),
         (SELECT DISTINCT campaign FROM read_csv('export/tracking_data.csv', header = true)),
         (SELECT unnest(range(4)) AS month)
    UNION ALL
    SELECT CAST(influencer_id AS BIGINT),
           campaign,
           date_sub('month', DATE '2025-01-21', transaction_date),
           transaction_date,
           orders
    FROM read_csv('export/tracking_data.csv', header = true)
    WHERE transaction_date < DATE '2025-05-21'
      AND influencer_id IS NOT NULL
)
WHERE influencer_id IN (SELECT influencer_id FROM read_csv('export/payouts.csv', header = true) WHERE total_payout > 0)
GROUP BY influencer_id, campaign, month, date
ORDER BY collaboration_id, date
