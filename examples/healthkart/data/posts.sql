-- Reach stands for views. Whether a post is sponsored, and for whom, is not told.
SELECT CAST(post_id AS VARCHAR) AS post_id,
       CAST(influencer_id AS VARCHAR) AS creator_id,
       CAST(post_date AS TIMESTAMP) AS posted_at,
       CAST(reach AS BIGINT) AS views,
       CAST(likes AS BIGINT) AS likes,
       CAST(comments AS BIGINT) AS comments,
       caption
FROM read_csv('export/posts.csv', header = true)
WHERE post_date < DATE '2025-05-21'  -- what was there on the day on which the candidates are asked about
ORDER BY posted_at, creator_id
