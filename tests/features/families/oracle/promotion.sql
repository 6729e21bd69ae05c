WITH v AS (SELECT row_id, median(div(views, followers)) AS per_follower FROM year_posts WHERE recent GROUP BY row_id),
u AS (SELECT row_id, median(spend) AS usual FROM earlier_deals WHERE same_creator GROUP BY row_id)
SELECT s.row_id, promotion_hours, deliverables, promotion_hours / deliverables AS hours_per_deliverable, objective,
    month(s.starts_at) AS start_month, isodow(s.starts_at) - 1 AS start_weekday, spend,
    spend / deliverables AS spend_per_deliverable, div(spend, z.followers) AS spend_per_follower,
    div(spend, per_follower * z.followers) AS spend_per_view, div(spend, usual) AS spend_vs_usual
FROM spine s JOIN sizes z ON z.creator_id = s.creator_id AND z.starts_at = s.starts_at
LEFT JOIN v USING (row_id) LEFT JOIN u USING (row_id)
