-- Eleven campaigns, whose names are written now and then in mixed case; the first word of each is its platform.
SELECT DISTINCT
       lower(campaign_name) AS creator_id,
       CASE split_part(creator_id, '_', 1) WHEN 'banner' THEN 'web' ELSE split_part(creator_id, '_', 1) END AS platform,
       category
FROM read_csv('export/Marketing.csv', header = true, delim = ';', decimal_separator = ',')
ORDER BY creator_id
