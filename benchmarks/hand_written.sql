-- The catalogue's columns for every row of `wanted`, written by hand in DuckDB's dialect for speed.
-- Given: views wanted (collaborations, and deals like them), collaborations, creators, posts, comments, conversions, and
-- scored (distinct texts with their classes).
CREATE MACRO div(a, b) AS a::DOUBLE / nullif(b::DOUBLE, 0.0);
CREATE MACRO fixed(x) AS round(x * 16777216)::BIGINT;
CREATE MACRO coarse(x) AS round(x * 65536)::BIGINT;
CREATE MACRO unfixed(x) AS x::DOUBLE / 16777216;
CREATE MACRO days(later, earlier) AS (epoch_us(later) - epoch_us(earlier))::DOUBLE / 86400e6::DOUBLE;
CREATE MACRO spread(total, squares, n) AS
    CASE WHEN n >= 2 THEN sqrt(greatest(div(squares, n) - div(total, n) * div(total, n), 0.0)) / 65536 END;
CREATE MACRO size_class(f) AS CASE WHEN f IS NULL THEN NULL WHEN f < 10000 THEN 'nano' WHEN f < 100000 THEN 'micro'
    WHEN f < 500000 THEN 'mid' WHEN f < 1000000 THEN 'macro' ELSE 'mega' END;

CREATE TEMP TABLE known_days AS
SELECT posted_at::DATE AS day FROM posts UNION SELECT commented_at::DATE FROM comments
UNION SELECT starts_at::DATE FROM collaborations;

CREATE TEMP TABLE spine AS
WITH history_end AS (
    SELECT d.day, max(k.day) + INTERVAL 1 DAY AS history_end
    FROM (SELECT DISTINCT starts_at::DATE AS day FROM wanted) d JOIN known_days k ON k.day < d.day GROUP BY d.day)
SELECT row_number() OVER () - 1 AS row_id, c.*, coalesce(r.history_end, starts_at) AS history_end,
    k.platform, k.niche AS creator_niche, k.country, k.language, k.followers AS listed
FROM wanted c LEFT JOIN history_end r ON r.day = c.starts_at::DATE LEFT JOIN creators k USING (creator_id);

CREATE TEMP TABLE keys AS SELECT DISTINCT creator_id, starts_at, history_end FROM spine;

CREATE TEMP TABLE p AS
SELECT creator_id, posted_at, views, likes, comments, shares, saves, followers, is_sponsored, niche, n,
    likes + comments AS engaged, CASE WHEN rate > 100 THEN 100.0 ELSE rate END AS rate,
    CASE WHEN per_view > 100 THEN 100.0 ELSE per_view END AS per_view, div(views, followers) AS viewed,
    ln(div(followers, 1) / before) AS step, days(posted_at, earlier) AS gap
FROM (
    SELECT *, div(likes + comments, followers) AS rate, div(likes + comments, views) AS per_view,
        lag(nullif(followers, 0)) OVER w AS before, lag(posted_at) OVER w AS earlier, row_number() OVER w AS n
    FROM posts WINDOW w AS (PARTITION BY creator_id ORDER BY posted_at, post_id));

CREATE TEMP TABLE from_posts AS
SELECT creator_id, starts_at,
    arg_max(followers, n) AS now, coalesce(arg_max(followers, n) FILTER (NOT recent), arg_min(followers, n)) AS earlier,
    max(step) AS followers_jump, min(step) AS followers_drop,
    median(viewed) FILTER (recent) AS views_per_follower, median(viewed) AS views_per_follower_year,
    median(rate) FILTER (recent) AS engagement_rate_median, median(rate) AS engagement_rate_year,
    median(per_view) FILTER (recent) AS engagement_per_view_median,
    div(unfixed(sum(fixed(rate)) FILTER (recent)), count(rate) FILTER (recent)) AS engagement_rate_mean,
    div(unfixed(sum(fixed(per_view)) FILTER (recent)), count(per_view) FILTER (recent)) AS engagement_per_view_mean,
    spread(sum(coarse(ln(rate + 1e-6))), sum(coarse(ln(rate + 1e-6)) ** 2), count(rate)) AS engagement_spread,
    div(sum(comments) FILTER (recent AND likes IS NOT NULL), sum(likes) FILTER (recent AND comments IS NOT NULL))
        AS comments_per_like,
    div(sum(comments) FILTER (likes IS NOT NULL), sum(likes) FILTER (comments IS NOT NULL)) AS comments_per_like_year,
    div(sum(saves) FILTER (recent AND likes IS NOT NULL), sum(likes) FILTER (recent AND saves IS NOT NULL)) AS saves_per_like,
    div(sum(saves) FILTER (likes IS NOT NULL), sum(likes) FILTER (saves IS NOT NULL)) AS saves_per_like_year,
    div(sum(shares) FILTER (recent AND likes IS NOT NULL), sum(likes) FILTER (recent AND shares IS NOT NULL))
        AS shares_per_like,
    div(sum(shares) FILTER (likes IS NOT NULL), sum(likes) FILTER (shares IS NOT NULL)) AS shares_per_like_year,
    div(div(sum(engaged) FILTER (rate IS NOT NULL AND is_sponsored), sum(followers) FILTER (rate IS NOT NULL AND is_sponsored)),
        div(sum(engaged) FILTER (rate IS NOT NULL AND NOT is_sponsored),
            sum(followers) FILTER (rate IS NOT NULL AND NOT is_sponsored))) AS engagement_sponsored_ratio,
    div(div(sum(engaged) FILTER (rate IS NOT NULL AND recent), sum(followers) FILTER (rate IS NOT NULL AND recent)),
        div(sum(engaged) FILTER (rate IS NOT NULL), sum(followers) FILTER (rate IS NOT NULL))) AS engagement_trend,
    count(*) FILTER (recent) AS posts_90d, median(gap) AS posting_gap_days,
    div(spread(sum(coarse(gap)), sum(coarse(gap) ** 2), count(gap)), div(sum(coarse(gap)), count(gap)) / 65536)
        AS posting_irregularity,
    max(posted_at) AS last_post, max(posted_at) FILTER (is_sponsored) AS last_sponsored,
    div(count(*) FILTER (recent AND is_sponsored), count(is_sponsored) FILTER (recent)) AS sponsored_share,
    div(count(*) FILTER (is_sponsored), count(is_sponsored)) AS sponsored_share_year
FROM (SELECT p.*, k.starts_at, p.posted_at >= k.history_end - INTERVAL 90 DAY AS recent FROM p JOIN keys k
      ON p.creator_id = k.creator_id AND p.posted_at < k.starts_at AND p.posted_at >= k.history_end - INTERVAL 365 DAY)
GROUP BY creator_id, starts_at;

CREATE TEMP TABLE niche_counts AS
SELECT p.creator_id, k.starts_at, p.niche, count(*) AS n FROM p JOIN keys k
  ON p.creator_id = k.creator_id AND p.posted_at < k.starts_at AND p.posted_at >= k.history_end - INTERVAL 365 DAY
WHERE p.niche IS NOT NULL GROUP BY ALL;

CREATE TEMP TABLE niche_totals AS
SELECT creator_id, starts_at, sum(n) AS posts, div(sum(n * n), sum(n) * sum(n)) AS niche_concentration
FROM niche_counts GROUP BY ALL;

CREATE TEMP TABLE near AS
WITH m AS (SELECT k.niche AS creator_niche, p.niche AS product_niche, date_trunc('month', posted_at) AS month, count(*) AS n
           FROM p JOIN creators k USING (creator_id) WHERE p.niche IS NOT NULL AND k.niche IS NOT NULL GROUP BY ALL),
k AS (SELECT DISTINCT creator_niche, product_niche, date_trunc('month', starts_at) AS month FROM spine)
SELECT k.creator_niche, k.product_niche, k.month,
    div(coalesce(sum(m.n) FILTER (m.product_niche = k.product_niche), 0), sum(m.n)) AS niche_nearness
FROM k JOIN m ON m.creator_niche = k.creator_niche AND m.month < k.month GROUP BY ALL;

CREATE TEMP TABLE texts AS
SELECT text, row_number() OVER ()::INT AS text_id, words::INT AS words, fixed(spam)::INT AS spam,
    fixed(emoji_only)::INT AS emoji_only, fixed(mention_only)::INT AS mention_only, fixed(hollow)::INT AS hollow,
    fixed(substance)::INT AS substance, fixed(question)::INT AS question, fixed(buying_intent)::INT AS buying_intent
FROM (SELECT DISTINCT text FROM comments) JOIN scored USING (text);

CREATE TEMP TABLE c AS
WITH told AS (
    SELECT comment_id, c.post_id, coalesce(c.creator_id, o.creator_id) AS creator_id, commented_at, author_id, by_creator,
        text_id, by_creator IS NOT TRUE AS fan
    FROM comments c LEFT JOIN posts o ON o.post_id = c.post_id JOIN texts ON texts.text = c.text),
first AS (SELECT text_id, creator_id, min(commented_at) AS at_ FROM told WHERE fan GROUP BY ALL),
two AS (
    SELECT text_id, min(at_) AS first_at, arg_min(creator_id, at_) AS first_creator,
        min(at_, 2)[2] AS second_at
    FROM first GROUP BY text_id),
w AS (
    SELECT * EXCLUDE (comment_id),
        lag(commented_at) OVER author AS author_at, lag(post_id) OVER author AS author_post,
        lag(commented_at) OVER same_text AS text_at,
        CASE WHEN NOT fan THEN days(commented_at, max(CASE WHEN fan THEN commented_at END) OVER post) * 24.0 END AS reply_hours
    FROM told WHERE creator_id IS NOT NULL
    WINDOW author AS (PARTITION BY creator_id, fan, author_id ORDER BY commented_at, comment_id),
           same_text AS (PARTITION BY creator_id, fan, text_id ORDER BY commented_at, comment_id),
           post AS (PARTITION BY post_id ORDER BY commented_at, comment_id ROWS UNBOUNDED PRECEDING))
SELECT w.creator_id, commented_at, fan, by_creator, author_id IS NOT NULL AS authored, author_at,
    author_post <> post_id AS elsewhere, text_at, reply_hours,
    coalesce(CASE WHEN first_creator = w.creator_id THEN second_at ELSE first_at END < commented_at, false) AS copied,
    words, spam, emoji_only, mention_only, hollow, substance, question, buying_intent
FROM w JOIN texts USING (text_id) LEFT JOIN two USING (text_id);

CREATE TEMP TABLE from_comments AS
SELECT creator_id, starts_at, nullif(count(*) FILTER (fan), 0) AS n, sum(by_creator::INT) AS replies,
    sum(spam) FILTER (fan) AS spam, sum(emoji_only) FILTER (fan) AS emoji_only,
    sum(mention_only) FILTER (fan) AS mention_only, sum(hollow) FILTER (fan) AS hollow,
    sum(substance) FILTER (fan) AS substance, sum(question) FILTER (fan) AS question,
    sum(buying_intent) FILTER (fan) AS buying_intent,
    count(*) FILTER (fan AND text_at >= since) AS repeated, count(*) FILTER (fan AND copied) AS copied,
    count(*) FILTER (fan AND authored) AS authored,
    count(*) FILTER (fan AND authored AND (author_at >= since) IS NOT TRUE) AS authors,
    count(*) FILTER (fan AND authored AND author_at >= since AND elsewhere) AS returned,
    sum(words) FILTER (fan) AS words, count(*) FILTER (fan AND words >= 8) AS long, median(reply_hours) AS reply_hours
FROM (SELECT c.*, k.starts_at, k.history_end - INTERVAL 365 DAY AS since FROM c JOIN keys k
      ON c.creator_id = k.creator_id AND c.commented_at < k.starts_at AND c.commented_at >= k.history_end - INTERVAL 365 DAY)
GROUP BY creator_id, starts_at;

CREATE TEMP TABLE deals AS
SELECT k.creator_id, k.starts_at, count(*) AS n, median(d.spend) AS usual, max(d.starts_at) AS latest
FROM keys k JOIN collaborations d ON d.creator_id = k.creator_id AND d.starts_at < k.starts_at GROUP BY ALL;

CREATE TEMP TABLE pairs AS
SELECT k.creator_id, k.starts_at, d.brand, count(*) AS n, min(d.starts_at) AS first_at, max(d.starts_at) AS last_at
FROM keys k JOIN collaborations d ON d.creator_id = k.creator_id AND d.starts_at < k.starts_at GROUP BY ALL;

CREATE TEMP TABLE brands AS
SELECT k.creator_id, k.starts_at, count(DISTINCT s.brand) AS n
FROM keys k JOIN (SELECT creator_id, brand, starts_at AS at_ FROM collaborations
                  UNION ALL SELECT creator_id, brand, posted_at FROM posts WHERE is_sponsored AND brand IS NOT NULL) s
  ON s.creator_id = k.creator_id AND s.at_ < k.starts_at AND s.at_ >= k.history_end - INTERVAL 90 DAY GROUP BY ALL;

CREATE TEMP TABLE brand_deals AS
SELECT DISTINCT brand, starts_at, count(*) OVER (PARTITION BY brand ORDER BY starts_at)
    - count(*) OVER (PARTITION BY brand, starts_at) AS n
FROM collaborations;

CREATE TEMP TABLE rated AS
WITH base AS (
    SELECT *, least(observed_until, starts_at + to_microseconds(round((promotion_hours / 24 + 30) * 86400e6)::BIGINT)) AS settled_at
    FROM collaborations),
told AS (FROM base SEMI JOIN conversions USING (collaboration_id)),
days_told AS (SELECT collaboration_id, date::TIMESTAMP + INTERVAL 1 DAY AS ended_at, conversions AS n FROM conversions),
moments AS (
    SELECT collaboration_id, starts_at + to_days(k) AS at_, false AS settled
    FROM told, (VALUES (2), (5), (10), (20), (40)) a(k) WHERE starts_at + to_days(k) < observed_until
    UNION ALL SELECT collaboration_id, settled_at, true FROM told WHERE settled_at < observed_until),
so_far AS (
    SELECT m.*, sum(n) AS n FROM moments m LEFT JOIN days_told d
      ON d.collaboration_id = m.collaboration_id AND d.ended_at <= m.at_ GROUP BY ALL),
steps AS (
    SELECT collaboration_id, at_, settled, coalesce(n, 0) AS n, starts_at, spend,
        days(CASE WHEN settled THEN at_ ELSE date_trunc('day', at_) END, starts_at) AS age,
        CASE WHEN settled THEN clicks END AS clicks
    FROM so_far JOIN told USING (collaboration_id) WHERE settled OR n IS NOT NULL
    UNION ALL
    SELECT collaboration_id, observed_until, observed_until = settled_at, conversions, starts_at, spend,
        days(observed_until, starts_at), clicks FROM told
    UNION ALL
    SELECT collaboration_id, settled_at, true, conversions, starts_at, spend, days(settled_at, starts_at), clicks
    FROM base ANTI JOIN conversions USING (collaboration_id))
SELECT collaboration_id, at_, settled, starts_at, exposure, ln((n + 0.5) / exposure) AS log_rate,
    ln((clicks + 0.5) / exposure) AS log_clicks
FROM (SELECT *, spend * greatest(1 - exp(-age / 7), 0.02) AS exposure FROM steps);

CREATE TEMP TABLE levels AS
WITH ripe AS (
    SELECT at_, fixed(log_rate) AS x FROM rated WHERE settled OR at_ >= starts_at + INTERVAL 20 DAY
    QUALIFY row_number() OVER (PARTITION BY collaboration_id ORDER BY at_, settled) = 1),
e AS (
    SELECT at_, 1 AS n, x, 0 AS cn, 0 AS cx FROM ripe
    UNION ALL SELECT at_, 0, 0, 1, fixed(log_clicks) FROM rated WHERE settled AND log_clicks IS NOT NULL),
up_to AS (
    SELECT at_, sum(n) OVER w AS n, sum(x) OVER w AS x, sum(cn) OVER w AS cn, sum(cx) OVER w AS cx
    FROM (SELECT at_, sum(n) AS n, sum(x) AS x, sum(cn) AS cn, sum(cx) AS cx FROM e GROUP BY at_) WINDOW w AS (ORDER BY at_)),
-- steps look back from themselves, rows of the spine from history_end
asked AS (
    SELECT DISTINCT false AS of_row, at_, at_ - INTERVAL 180 DAY AS since FROM rated
    UNION ALL SELECT DISTINCT true, starts_at - INTERVAL 1 MICROSECOND,
        history_end - INTERVAL 180 DAY - INTERVAL 1 MICROSECOND FROM keys)
-- a window is what came up to its end less what came up to its begin
SELECT of_row, a.at_, div(unfixed(e.x - coalesce(b.x, 0)), e.n - coalesce(b.n, 0)) AS level,
    div(unfixed(e.cx - coalesce(b.cx, 0)), e.cn - coalesce(b.cn, 0)) AS click_level
FROM asked a ASOF LEFT JOIN up_to e ON e.at_ <= a.at_ ASOF LEFT JOIN up_to b ON b.at_ <= a.since;

CREATE TEMP TABLE sizes AS
SELECT k.creator_id, k.starts_at, coalesce(f.now, c.followers) AS followers
FROM keys k LEFT JOIN from_posts f USING (creator_id, starts_at) LEFT JOIN creators c USING (creator_id);

CREATE TEMP TABLE changes AS
WITH v AS (
    SELECT r.*, fixed(w) AS fw, coalesce(fixed(w * (log_rate - level)), 0) AS fs,
        CASE WHEN log_clicks IS NOT NULL AND click_level IS NOT NULL THEN fixed(w) ELSE 0 END AS cw,
        CASE WHEN log_clicks IS NOT NULL AND click_level IS NOT NULL THEN fixed(w * (log_clicks - click_level)) ELSE 0 END AS cs
    FROM (SELECT rated.*, level, click_level, coalesce(exp(level) * exposure / (exp(level) * exposure + 2), 0) AS w
          FROM rated JOIN levels l ON NOT l.of_row AND l.at_ = rated.at_) r)
SELECT v.at_, d.creator_id, d.brand, d.product_niche, d.creator_niche, d.platform, size_class(z.followers) AS tier,
    fw - coalesce(lag(fw) OVER s, 0) AS w, fs - coalesce(lag(fs) OVER s, 0) AS ws,
    cw - coalesce(lag(cw) OVER s, 0) AS cw, cs - coalesce(lag(cs) OVER s, 0) AS cs
FROM v JOIN spine d USING (collaboration_id)
JOIN sizes z ON z.creator_id = d.creator_id AND z.starts_at = d.starts_at
WINDOW s AS (PARTITION BY v.collaboration_id ORDER BY v.at_, v.settled);

CREATE TEMP TABLE keyed AS
SELECT s.row_id, s.starts_at - INTERVAL 1 MICROSECOND AS at_, s.creator_id, s.brand, s.product_niche, s.creator_niche,
    s.platform, size_class(z.followers) AS tier, 0 AS w, 0 AS ws, 0 AS cw, 0 AS cs
FROM spine s JOIN sizes z ON z.creator_id = s.creator_id AND z.starts_at = s.starts_at;

CREATE TEMP TABLE records AS
SELECT row_id, sum(w) OVER a AS creator_w, sum(ws) OVER a AS creator_ws, sum(cw) OVER a AS cw, sum(cs) OVER a AS cs,
    sum(w) OVER b AS brand_w, sum(ws) OVER b AS brand_ws, sum(w) OVER ab AS pair_w, sum(ws) OVER ab AS pair_ws,
    sum(w) OVER n AS niche_w, sum(ws) OVER n AS niche_ws, sum(w) OVER t AS tier_w, sum(ws) OVER t AS tier_ws,
    sum(w) OVER p AS platform_w, sum(ws) OVER p AS platform_ws, tier
FROM (FROM keyed UNION ALL BY NAME FROM changes)
WINDOW a AS (PARTITION BY creator_id ORDER BY at_), b AS (PARTITION BY brand ORDER BY at_),
    ab AS (PARTITION BY creator_id, brand ORDER BY at_), n AS (PARTITION BY creator_niche, product_niche ORDER BY at_),
    t AS (PARTITION BY tier ORDER BY at_), p AS (PARTITION BY platform ORDER BY at_)
QUALIFY row_id IS NOT NULL;

CREATE TEMP TABLE spoken AS
SELECT country AS product_country, language, div(count(*), sum(count(*)) OVER (PARTITION BY country)) AS share
FROM creators WHERE country IS NOT NULL AND language IS NOT NULL GROUP BY country, language;

CREATE MACRO record(ws, w, k) AS exp(unfixed(ws) / (unfixed(w) + k));
SELECT z.followers::DOUBLE AS followers, r.tier, ln(div(nullif(f.now, 0), f.earlier)) AS followers_growth_90d, followers_jump,
    followers_drop, views_per_follower, views_per_follower_year, s.platform,
    engagement_rate_median, engagement_rate_mean, engagement_rate_year, engagement_per_view_median,
    engagement_per_view_mean, engagement_spread, comments_per_like, comments_per_like_year, saves_per_like,
    saves_per_like_year, shares_per_like, shares_per_like_year, engagement_sponsored_ratio, engagement_trend, posts_90d,
    posting_gap_days, posting_irregularity, CASE WHEN last_post > s.history_end THEN 0 ELSE days(s.history_end, last_post) END AS days_since_post,
    m.n AS comments_seen, (unfixed(m.spam) + 5 * 0.05) / (m.n + 5) AS spam_share,
    (unfixed(m.emoji_only) + 5 * 0.15) / (m.n + 5) AS emoji_only_share,
    (unfixed(m.mention_only) + 5 * 0.05) / (m.n + 5) AS mention_only_share,
    (unfixed(m.hollow) + 5 * 0.35) / (m.n + 5) AS hollow_share,
    (unfixed(m.substance) + 5 * 0.25) / (m.n + 5) AS substance_share,
    (unfixed(m.question) + 5 * 0.15) / (m.n + 5) AS question_share,
    (unfixed(m.buying_intent) + 5 * 0.05) / (m.n + 5) AS buying_intent_share,
    div(m.repeated, m.n) AS repeated_share, div(m.copied, m.n) AS copied_share,
    div(m.authors, m.authored) AS distinct_authors_share, div(m.returned, m.authored) AS returning_share,
    div(m.replies, m.n) AS replies_per_comment, m.reply_hours, div(m.words, m.n) AS comment_words,
    div(m.long, m.n) AS long_comment_share,
    s.creator_niche, s.product_niche, (s.creator_niche = s.product_niche)::DOUBLE AS same_niche,
    div(coalesce(np.n, 0), nt.posts) AS niche_post_share, div(coalesce(no.n, 0), nt.posts) AS own_niche_share,
    niche_concentration, niche_nearness, s.country, s.product_country,
    (s.country = s.product_country)::DOUBLE AS same_country, s.language,
    CASE WHEN s.language IS NOT NULL AND told.product_country IS NOT NULL THEN coalesce(spoken.share, 0) END AS language_match,
    s.promotion_hours, s.deliverables, div(s.promotion_hours, s.deliverables) AS hours_per_deliverable, s.objective,
    month(s.starts_at) AS start_month, isodow(s.starts_at) - 1 AS start_weekday, s.spend,
    div(s.spend, s.deliverables) AS spend_per_deliverable, div(s.spend, z.followers) AS spend_per_follower,
    div(s.spend, views_per_follower * z.followers) AS spend_per_view, div(s.spend, d.usual) AS spend_vs_usual,
    s.brand, coalesce(pairs.n, 0) AS deals_with_brand, days(s.starts_at, pairs.first_at) AS days_since_first_deal,
    days(s.starts_at, pairs.last_at) AS days_since_deal, coalesce(d.n, 0) AS creator_deals,
    coalesce(bd.n, 0) AS brand_deals, coalesce(brands.n, 0) AS brands_90d, sponsored_share, sponsored_share_year,
    CASE WHEN coalesce(greatest(d.latest, f.last_sponsored), d.latest, f.last_sponsored) IS NOT NULL
         THEN greatest(days(s.history_end, greatest(d.latest, f.last_sponsored)), 0) END AS rest_days,
    exp(l.level) AS market_rate, record(creator_ws, creator_w, 1) AS creator_record, unfixed(creator_w) AS creator_evidence,
    record(brand_ws, brand_w, 2) AS brand_record, unfixed(brand_w) AS brand_evidence,
    record(pair_ws, pair_w, 1) AS pair_record, unfixed(pair_w) AS pair_evidence,
    record(niche_ws, niche_w, 5) AS niche_pair_record, unfixed(niche_w) AS niche_pair_evidence,
    record(tier_ws, tier_w, 5) AS tier_record, unfixed(tier_w) AS tier_evidence,
    record(platform_ws, platform_w, 5) AS platform_record, unfixed(platform_w) AS platform_evidence,
    CASE WHEN l.click_level IS NOT NULL THEN record(r.cs, r.cw, 1) END AS creator_click_record
FROM spine s JOIN records r USING (row_id)
JOIN sizes z ON z.creator_id = s.creator_id AND z.starts_at = s.starts_at
LEFT JOIN from_posts f ON f.creator_id = s.creator_id AND f.starts_at = s.starts_at
LEFT JOIN from_comments m ON m.creator_id = s.creator_id AND m.starts_at = s.starts_at
LEFT JOIN niche_totals nt ON nt.creator_id = s.creator_id AND nt.starts_at = s.starts_at
LEFT JOIN niche_counts np ON np.creator_id = s.creator_id AND np.starts_at = s.starts_at AND np.niche = s.product_niche
LEFT JOIN niche_counts no ON no.creator_id = s.creator_id AND no.starts_at = s.starts_at AND no.niche = s.creator_niche
LEFT JOIN near ON near.creator_niche = s.creator_niche AND near.product_niche = s.product_niche
    AND near.month = date_trunc('month', s.starts_at)
LEFT JOIN (SELECT DISTINCT product_country FROM spoken) told ON told.product_country = s.product_country
LEFT JOIN spoken ON spoken.product_country = s.product_country AND spoken.language = s.language
LEFT JOIN deals d ON d.creator_id = s.creator_id AND d.starts_at = s.starts_at
LEFT JOIN pairs ON pairs.creator_id = s.creator_id AND pairs.starts_at = s.starts_at AND pairs.brand = s.brand
LEFT JOIN brands ON brands.creator_id = s.creator_id AND brands.starts_at = s.starts_at
LEFT JOIN brand_deals bd ON bd.brand = s.brand AND bd.starts_at = s.starts_at
JOIN levels l ON l.of_row AND l.at_ = s.starts_at - INTERVAL 1 MICROSECOND
ORDER BY row_id;
