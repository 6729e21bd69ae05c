-- monthly
SELECT
  `t7`.`creator_niche`,
  `t7`.`niche` AS `product_niche`,
  CAST(DATETIME_TRUNC(`t7`.`posted_at`, MONTH) AS DATETIME) AS `at`,
  COUNT(*) AS `n`
FROM (
  SELECT
    *
  FROM (
    SELECT
      `t5`.`post_id`,
      `t5`.`creator_id`,
      `t5`.`posted_at`,
      `t5`.`followers`,
      `t5`.`views`,
      `t5`.`likes`,
      `t5`.`comments`,
      `t5`.`shares`,
      `t5`.`saves`,
      `t5`.`is_sponsored`,
      `t5`.`brand`,
      `t5`.`niche`,
      `t5`.`caption`,
      `t4`.`_creator`,
      `t4`.`creator_niche`
    FROM (
      SELECT
        *
      FROM `posts` AS `t0`
      WHERE
        `t0`.`niche` IS NOT NULL
    ) AS `t5`
    INNER JOIN (
      SELECT
        `t1`.`creator_id` AS `_creator`,
        `t1`.`niche` AS `creator_niche`
      FROM `creators` AS `t1`
    ) AS `t4`
      ON `t5`.`creator_id` = `t4`.`_creator`
  ) AS `t6`
  WHERE
    `t6`.`creator_niche` IS NOT NULL
) AS `t7`
GROUP BY
  1,
  2,
  3;

-- shares
SELECT
  `t0`.`creator_id`,
  `t0`.`as_of`,
  SUM(`t0`.`n`) AS `niche_posts`,
  ieee_divide(
    CAST(SUM(`t0`.`n` * `t0`.`n`) AS FLOAT64),
    NULLIF(CAST(SUM(`t0`.`n`) * SUM(`t0`.`n`) AS FLOAT64), 0.0)
  ) AS `niche_concentration`
FROM `counts` AS `t0`
GROUP BY
  1,
  2;

-- languages
SELECT
  `t2`.`country` AS `product_country`,
  `t2`.`language`,
  ieee_divide(
    CAST(`t2`.`n` AS FLOAT64),
    NULLIF(
      CAST(SUM(`t2`.`n`) OVER (
        PARTITION BY `t2`.`country`
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
      ) AS FLOAT64),
      0.0
    )
  ) AS `language_share`
FROM (
  SELECT
    `t1`.`country`,
    `t1`.`language`,
    COUNT(*) AS `n`
  FROM (
    SELECT
      *
    FROM `creators` AS `t0`
    WHERE
      `t0`.`country` IS NOT NULL AND `t0`.`language` IS NOT NULL
  ) AS `t1`
  GROUP BY
    1,
    2
) AS `t2`;

-- finish
SELECT
  `t0`.`creator_id`,
  `t0`.`as_of`,
  CAST(CAST(CAST(`t0`.`creator_niche` = `t0`.`product_niche` AS INT64) AS INT64) AS FLOAT64) AS `same_niche`,
  CAST(CAST(CAST(`t0`.`country` = `t0`.`product_country` AS INT64) AS INT64) AS FLOAT64) AS `same_country`,
  ieee_divide(
    CAST(COALESCE(`t0`.`product_niche_posts`, 0) AS FLOAT64),
    NULLIF(CAST(`t0`.`niche_posts` AS FLOAT64), 0.0)
  ) AS `niche_post_share`,
  ieee_divide(
    CAST(COALESCE(`t0`.`own_niche_posts`, 0) AS FLOAT64),
    NULLIF(CAST(`t0`.`niche_posts` AS FLOAT64), 0.0)
  ) AS `own_niche_share`,
  ieee_divide(
    CAST(COALESCE(`t0`.`near_posts`, 0) AS FLOAT64),
    NULLIF(CAST(`t0`.`near_all` AS FLOAT64), 0.0)
  ) AS `niche_nearness`,
  IF(
    (
      `t0`.`language` IS NOT NULL
    ) AND `t0`.`country_known`,
    COALESCE(`t0`.`language_share`, 0.0),
    CAST(NULL AS FLOAT64)
  ) AS `language_match`
FROM `sums` AS `t0`;
