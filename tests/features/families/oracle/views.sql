-- What the families of the oracle share: the grid of exact sums, and what each row of the spine may look at.
-- Given: collaborations, creators, posts, comments, conversions, texts (text and its classes), spine (with row_id).
CREATE MACRO exact_sum(x) AS sum(CAST(round(x * 16777216) AS BIGINT)) / 16777216.0::DOUBLE;
CREATE MACRO exact_mean(x) AS exact_sum(x) / count(x);
CREATE MACRO div(a, b) AS CASE WHEN b <> 0 THEN a::DOUBLE / b::DOUBLE END;
CREATE MACRO days(later, earlier) AS (epoch_us(later) - epoch_us(earlier)) / 86400e6::DOUBLE;
CREATE MACRO size_class(followers) AS
    CASE WHEN followers >= 1000000 THEN 'mega' WHEN followers >= 500000 THEN 'macro' WHEN followers >= 100000 THEN 'mid'
         WHEN followers >= 10000 THEN 'micro' WHEN followers >= 0 THEN 'nano' END;

-- where the history ends before a moment: the end of the last day before the moment's own on which anything is known
CREATE TABLE known_days AS
SELECT CAST(posted_at AS DATE) AS day FROM posts UNION SELECT CAST(commented_at AS DATE) FROM comments
UNION SELECT CAST(starts_at AS DATE) FROM collaborations;
CREATE TABLE moments AS
SELECT creator_id, starts_at, coalesce(
    (SELECT max(day) FROM known_days WHERE day < CAST(starts_at AS DATE))::TIMESTAMP + INTERVAL 1 DAY, starts_at) AS history_end
FROM (SELECT creator_id, starts_at FROM spine UNION SELECT creator_id, starts_at FROM collaborations);
CREATE TABLE asked AS SELECT spine.*, history_end FROM spine JOIN moments USING (creator_id, starts_at);

CREATE TABLE year_posts AS
SELECT s.row_id, s.history_end, p.*, p.posted_at >= s.history_end - INTERVAL 90 DAY AS recent,
       before.post_id IS NOT NULL AS follows, before.posted_at AS before_at, before.followers AS before_followers
FROM asked s
JOIN posts p ON p.creator_id = s.creator_id
            AND p.posted_at < s.starts_at AND p.posted_at >= s.history_end - INTERVAL 365 DAY
LEFT JOIN posts before ON before.post_id = (
    SELECT post_id FROM posts q
    WHERE q.creator_id = p.creator_id AND (q.posted_at, q.post_id) < (p.posted_at, p.post_id)
    ORDER BY posted_at DESC, post_id DESC LIMIT 1);

CREATE TABLE owned_comments AS
SELECT c.comment_id, c.post_id, coalesce(c.creator_id, p.creator_id) AS creator_id, c.commented_at, c.author_id, c.text,
       c.by_creator IS NOT TRUE AS fan, c.by_creator
FROM comments c LEFT JOIN posts p USING (post_id);

CREATE TABLE year_comments AS
SELECT s.row_id, s.history_end - INTERVAL 365 DAY AS since, c.*
FROM asked s JOIN owned_comments c ON c.creator_id = s.creator_id
    AND c.commented_at < s.starts_at AND c.commented_at >= s.history_end - INTERVAL 365 DAY
WHERE c.creator_id IS NOT NULL;

CREATE TABLE earlier_deals AS
SELECT s.row_id, s.brand = c.brand AS same_brand, s.creator_id = c.creator_id AS same_creator, c.*
FROM asked s JOIN collaborations c ON c.starts_at < s.starts_at;

-- followers as of any moment of any creator that is asked for
CREATE TABLE sizes AS
SELECT m.creator_id, m.starts_at, coalesce(
    (SELECT p.followers FROM posts p
     WHERE p.creator_id = m.creator_id AND p.followers IS NOT NULL AND p.posted_at < m.starts_at
       AND p.posted_at >= m.history_end - INTERVAL 365 DAY
     ORDER BY p.posted_at DESC, p.post_id DESC LIMIT 1),
    (SELECT c.followers FROM creators c WHERE c.creator_id = m.creator_id)) AS followers
FROM moments m;
