-- An audience stands for the creator. Its interest is its niche; how many people it holds is not told.
SELECT DISTINCT
       age || gender || '-' || interest AS creator_id,
       'facebook' AS platform,
       CAST(interest AS VARCHAR) AS niche
FROM read_csv('export/KAG_conversion_data.csv', header = true)
ORDER BY creator_id
