WITH c AS (
    SELECT y.*, t.* EXCLUDE (text),
        EXISTS (FROM owned_comments o WHERE o.fan AND o.creator_id = y.creator_id AND o.text = y.text AND o.commented_at >= since
                AND (o.commented_at, o.comment_id) < (y.commented_at, y.comment_id)) AS repeated,
        EXISTS (FROM owned_comments o WHERE o.fan AND o.creator_id <> y.creator_id AND o.text = y.text
                AND o.commented_at < y.commented_at) AS copied,
        (SELECT o.post_id FROM owned_comments o
         WHERE o.fan AND o.creator_id = y.creator_id AND o.author_id = y.author_id AND o.commented_at >= since
           AND (o.commented_at, o.comment_id) < (y.commented_at, y.comment_id)
         ORDER BY o.commented_at DESC, o.comment_id DESC LIMIT 1) AS post_before,
        (SELECT max(o.commented_at) FROM owned_comments o
         WHERE o.fan AND o.post_id = y.post_id AND (o.commented_at, o.comment_id) < (y.commented_at, y.comment_id)) AS asked_at
    FROM year_comments y JOIN texts t USING (text)),
a AS (
    SELECT row_id, nullif(count(*) FILTER (fan), 0) AS n, count(author_id) FILTER (fan) AS known,
        {shares},
        count(*) FILTER (fan AND repeated) AS repeated, count(*) FILTER (fan AND copied) AS copied,
        count(DISTINCT author_id) FILTER (fan) AS authors, count(*) FILTER (fan AND post_before <> post_id) AS returned,
        CASE WHEN count(by_creator) > 0 THEN count(*) FILTER (by_creator) END AS replies,
        median(days(commented_at, asked_at) * 24) FILTER (NOT fan) AS reply_hours,
        sum(words) FILTER (fan) AS words, count(*) FILTER (fan AND words >= 8) AS long
    FROM c GROUP BY row_id)
SELECT row_id, n AS comments_seen, COLUMNS('(spam|only|hollow|substance|question|intent)_share'),
    repeated / n AS repeated_share, copied / n AS copied_share, div(authors, known) AS distinct_authors_share,
    div(returned, known) AS returning_share, replies / n AS replies_per_comment, reply_hours, words / n AS comment_words,
    long / n AS long_comment_share
FROM spine LEFT JOIN a USING (row_id)
