-- Every moment at which something became known of a deal's result: how much, and after how many days it was counted.
WITH deals AS (
    SELECT *, collaboration_id IN (SELECT collaboration_id FROM conversions) AS by_day,
        CASE WHEN observed_until < ends_at THEN observed_until ELSE ends_at END AS settled_at
    FROM (SELECT *, starts_at + to_microseconds(round(promotion_hours * 3600e6 + 30 * 86400e6)::BIGINT) AS ends_at
          FROM collaborations)),
so_far AS (
    SELECT d.*, k, starts_at + to_days(k) AS known_at, (
            SELECT sum(c.conversions) FROM conversions c WHERE c.collaboration_id = d.collaboration_id
            AND c.date::TIMESTAMP + INTERVAL 1 DAY <= d.starts_at + to_days(k)) AS n
    FROM deals d, (VALUES (2), (5), (10), (20), (40)) ages(k) WHERE by_day AND known_at < observed_until),
steps AS (
    -- settled: by the days that had ended where days are listed and more are to come, else by the whole count
    SELECT collaboration_id, spend, clicks, settled_at AS known_at, days(settled_at, starts_at) AS age, true AS settled,
        true AS ripe, CASE WHEN by_day AND settled_at < observed_until THEN (
            SELECT coalesce(sum(c.conversions), 0) FROM conversions c WHERE c.collaboration_id = d.collaboration_id
            AND c.date::TIMESTAMP + INTERVAL 1 DAY <= settled_at) ELSE conversions END AS n
    FROM deals d
    UNION ALL
    SELECT collaboration_id, spend, NULL, known_at, days(date_trunc('day', known_at), starts_at), false, k >= 20, n
    FROM so_far WHERE n IS NOT NULL AND known_at <> settled_at
    UNION ALL
    SELECT collaboration_id, spend, clicks, observed_until, days(observed_until, starts_at), false, true, conversions
    FROM deals WHERE by_day AND observed_until > settled_at),
rated AS (
    SELECT *, ln((n + 0.5) / exposure) AS log_rate, ln((clicks + 0.5) / exposure) AS log_clicks
    FROM (SELECT *, spend * greatest(1 - exp(-age / 7), 0.02) AS exposure FROM steps)),
-- the market: each deal's first ripe step
ripe AS (SELECT collaboration_id, min(known_at) AS known_at, arg_min(log_rate, known_at) AS log_rate FROM rated WHERE ripe GROUP BY ALL),
-- of the 180 days up to each step, that step included, and from 180 days before history_end until each row's start
windows AS (
    SELECT DISTINCT 'step' AS of, known_at + INTERVAL 1 MICROSECOND AS moment, moment - INTERVAL 180 DAY AS since FROM rated
    UNION ALL SELECT DISTINCT 'row', starts_at, history_end - INTERVAL 180 DAY FROM moments),
levels AS (
    SELECT of, moment,
        (SELECT exact_mean(log_rate) FROM ripe WHERE known_at < moment AND known_at >= since) AS level,
        (SELECT exact_mean(log_clicks) FROM rated WHERE settled AND known_at < moment AND known_at >= since) AS click_level
    FROM windows),
weighed AS (
    SELECT r.collaboration_id, known_at, coalesce(m / (m + 2), 0) AS w, coalesce(w * (log_rate - level), 0) AS ws,
        log_clicks - click_level AS c
    FROM (SELECT r.*, level, click_level, exp(level) * exposure AS m
          FROM rated r JOIN levels ON of = 'step' AND moment = known_at + INTERVAL 1 MICROSECOND) r),
-- as of each row, the newest step of each deal that was known strictly before
known AS (
    SELECT s.row_id, s.starts_at, d.creator_id = s.creator_id AS creator, d.brand = s.brand AS brand,
        dc.niche = sc.niche AND d.product_niche = s.product_niche AS niche_pair, dc.platform = sc.platform AS platform,
        size_class(dz.followers) = size_class(sz.followers) AS tier, w.*
    FROM spine s
    LEFT JOIN creators sc ON sc.creator_id = s.creator_id
    JOIN sizes sz ON sz.creator_id = s.creator_id AND sz.starts_at = s.starts_at
    JOIN weighed w ON w.known_at < s.starts_at
        AND NOT EXISTS (FROM weighed v WHERE v.collaboration_id = w.collaboration_id AND v.known_at > w.known_at AND v.known_at < s.starts_at)
    JOIN collaborations d ON d.collaboration_id = w.collaboration_id
    JOIN creators dc ON dc.creator_id = d.creator_id
    JOIN sizes dz ON dz.creator_id = d.creator_id AND dz.starts_at = d.starts_at),
sums AS (SELECT row_id, {sums},
             exact_sum(CASE WHEN creator AND c IS NOT NULL THEN w * c END) AS click_ws,
             exact_sum(CASE WHEN creator AND c IS NOT NULL THEN w END) AS click_w
         FROM known GROUP BY row_id)
SELECT s.row_id, exp(level) AS market_rate, {records},
    CASE WHEN click_level IS NOT NULL THEN exp(coalesce(click_ws / (click_w + 1), 0)) END AS creator_click_record
FROM spine s JOIN levels ON of = 'row' AND moment = s.starts_at LEFT JOIN sums USING (row_id)
LEFT JOIN creators sc ON sc.creator_id = s.creator_id
JOIN sizes sz ON sz.creator_id = s.creator_id AND sz.starts_at = s.starts_at
