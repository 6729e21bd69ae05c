-- Eleven campaigns, one of which is spelt facebOOK_tier2; the first word of each name is its platform.
SELECT DISTINCT
       lower(campaign_name) AS creator_id,
       CASE split_part(creator_id, '_', 1) WHEN 'banner' THEN 'web' ELSE split_part(creator_id, '_', 1) END AS platform,
       category AS niche
FROM read_csv('export/Marketing.csv', header = true, delim = ';', decimal_separator = ',')
ORDER BY creator_id
