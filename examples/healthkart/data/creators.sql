-- Followers as last known; the export tells neither country nor language.
SELECT CAST(influencer_id AS VARCHAR) AS creator_id,
       lower(platform) AS platform,
       category AS niche,
       CAST(follower_count AS BIGINT) AS followers
FROM read_csv('export/influencers.csv', header = true)
ORDER BY influencer_id
