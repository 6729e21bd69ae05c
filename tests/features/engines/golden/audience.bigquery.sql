-- prepare
SELECT
  `t0`.`post_id`,
  `t0`.`creator_id`,
  `t0`.`posted_at`,
  `t0`.`followers`,
  `t0`.`views`,
  `t0`.`likes`,
  `t0`.`comments`,
  `t0`.`shares`,
  `t0`.`saves`,
  `t0`.`is_sponsored`,
  `t0`.`brand`,
  `t0`.`niche`,
  `t0`.`caption`,
  `t0`.`seq`,
  ieee_divide(CAST(`t0`.`views` AS FLOAT64), NULLIF(CAST(`t0`.`followers` AS FLOAT64), 0.0)) AS `views_per_f`,
  LN(
    ieee_divide(
      CAST(NULLIF(`t0`.`followers`, 0) AS FLOAT64),
      CAST(NULLIF(
        LAG(`t0`.`followers`, 1) OVER (PARTITION BY `t0`.`creator_id` ORDER BY `t0`.`seq` ASC),
        0
      ) AS FLOAT64)
    )
  ) AS `step`
FROM `numbered_posts` AS `t0`;

-- from_posts
SELECT
  `t7`.`creator_id`,
  `t7`.`as_of`,
  MAX_BY(
    IF(TRUE AND (
      `t7`.`followers` IS NOT NULL
    ), `t7`.`followers`, NULL),
    IF(TRUE AND (
      `t7`.`followers` IS NOT NULL
    ), `t7`.`seq`, NULL)
  ) AS `followers_posted`,
  COALESCE(
    MAX_BY(
      IF(
        NOT (
          `t7`.`recent`
        ) AND (
          `t7`.`followers` IS NOT NULL
        ),
        `t7`.`followers`,
        NULL
      ),
      IF(NOT (
        `t7`.`recent`
      ) AND (
        `t7`.`followers` IS NOT NULL
      ), `t7`.`seq`, NULL)
    ),
    MIN_BY(
      IF(`t7`.`followers` IS NOT NULL, `t7`.`followers`, NULL),
      IF(`t7`.`followers` IS NOT NULL, `t7`.`seq`, NULL)
    )
  ) AS `followers_before`,
  MAX(`t7`.`step`) AS `followers_jump`,
  MIN(`t7`.`step`) AS `followers_drop`,
  (
    ARRAY_AGG(
      IF(`t7`.`recent`, `t7`.`views_per_f`, NULL) IGNORE NULLS ORDER BY IF(`t7`.`recent`, `t7`.`views_per_f`, NULL)
    )[safe_offset(DIV(COUNT(IF(`t7`.`recent`, `t7`.`views_per_f`, NULL)) - 1, 2))] + ARRAY_AGG(
      IF(`t7`.`recent`, `t7`.`views_per_f`, NULL) IGNORE NULLS ORDER BY IF(`t7`.`recent`, `t7`.`views_per_f`, NULL)
    )[safe_offset(DIV(COUNT(IF(`t7`.`recent`, `t7`.`views_per_f`, NULL)), 2))]
  ) / 2 AS `views_per_follower`,
  (
    ARRAY_AGG(`t7`.`views_per_f` IGNORE NULLS ORDER BY `t7`.`views_per_f`)[safe_offset(DIV(COUNT(`t7`.`views_per_f`) - 1, 2))] + ARRAY_AGG(`t7`.`views_per_f` IGNORE NULLS ORDER BY `t7`.`views_per_f`)[safe_offset(DIV(COUNT(`t7`.`views_per_f`), 2))]
  ) / 2 AS `views_per_follower_year`
FROM (
  SELECT
    `t6`.*
    EXCEPT (`_creator`, `_recent`)
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
      `t5`.`seq`,
      `t5`.`views_per_f`,
      `t5`.`step`,
      `t5`.`_creator`,
      `t5`.`as_of`,
      `t5`.`history_end`,
      `t5`.`since`,
      `t5`.`_recent`,
      `t5`.`posted_at` >= `t5`.`_recent` AS `recent`
    FROM (
      SELECT
        `t2`.`post_id`,
        `t2`.`creator_id`,
        `t2`.`posted_at`,
        `t2`.`followers`,
        `t2`.`views`,
        `t2`.`likes`,
        `t2`.`comments`,
        `t2`.`shares`,
        `t2`.`saves`,
        `t2`.`is_sponsored`,
        `t2`.`brand`,
        `t2`.`niche`,
        `t2`.`caption`,
        `t2`.`seq`,
        `t2`.`views_per_f`,
        `t2`.`step`,
        `t4`.`_creator`,
        `t4`.`as_of`,
        `t4`.`history_end`,
        `t4`.`since`,
        `t4`.`_recent`
      FROM `prepared_posts` AS `t2`
      INNER JOIN (
        SELECT
          `t1`.`creator_id` AS `_creator`,
          `t1`.`as_of`,
          `t1`.`history_end`,
          DATETIME_SUB(`t1`.`history_end`, INTERVAL '365' DAY) AS `since`,
          DATETIME_SUB(`t1`.`history_end`, INTERVAL '90' DAY) AS `_recent`
        FROM `keys` AS `t1`
      ) AS `t4`
        ON `t2`.`creator_id` = `t4`.`_creator`
        AND `t2`.`posted_at` < `t4`.`as_of`
        AND `t2`.`posted_at` >= `t4`.`since`
    ) AS `t5`
  ) AS `t6`
) AS `t7`
GROUP BY
  1,
  2;

-- finish
SELECT
  `t0`.`creator_id`,
  `t0`.`as_of`,
  CAST(COALESCE(`t0`.`followers_posted`, `t0`.`followers_listed`) AS FLOAT64) AS `followers`,
  CASE
    WHEN COALESCE(`t0`.`followers_posted`, `t0`.`followers_listed`) IS NULL
    THEN CAST(NULL AS STRING)
    WHEN COALESCE(`t0`.`followers_posted`, `t0`.`followers_listed`) < 10000
    THEN 'nano'
    WHEN COALESCE(`t0`.`followers_posted`, `t0`.`followers_listed`) < 100000
    THEN 'micro'
    WHEN COALESCE(`t0`.`followers_posted`, `t0`.`followers_listed`) < 500000
    THEN 'mid'
    WHEN COALESCE(`t0`.`followers_posted`, `t0`.`followers_listed`) < 1000000
    THEN 'macro'
    ELSE 'mega'
  END AS `tier`,
  LN(
    ieee_divide(
      CAST(NULLIF(`t0`.`followers_posted`, 0) AS FLOAT64),
      NULLIF(CAST(`t0`.`followers_before` AS FLOAT64), 0.0)
    )
  ) AS `followers_growth_90d`
FROM `sums` AS `t0`;
