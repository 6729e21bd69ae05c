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
  `t0`.`likes` + `t0`.`comments` AS `engaged`,
  IF(
    ieee_divide(
      CAST(`t0`.`likes` + `t0`.`comments` AS FLOAT64),
      NULLIF(CAST(`t0`.`followers` AS FLOAT64), 0.0)
    ) IS NULL,
    ieee_divide(
      CAST(`t0`.`likes` + `t0`.`comments` AS FLOAT64),
      NULLIF(CAST(`t0`.`followers` AS FLOAT64), 0.0)
    ),
    LEAST(
      100.0,
      ieee_divide(
        CAST(`t0`.`likes` + `t0`.`comments` AS FLOAT64),
        NULLIF(CAST(`t0`.`followers` AS FLOAT64), 0.0)
      )
    )
  ) AS `rate`,
  IF(
    ieee_divide(
      CAST(`t0`.`likes` + `t0`.`comments` AS FLOAT64),
      NULLIF(CAST(`t0`.`views` AS FLOAT64), 0.0)
    ) IS NULL,
    ieee_divide(
      CAST(`t0`.`likes` + `t0`.`comments` AS FLOAT64),
      NULLIF(CAST(`t0`.`views` AS FLOAT64), 0.0)
    ),
    LEAST(
      100.0,
      ieee_divide(
        CAST(`t0`.`likes` + `t0`.`comments` AS FLOAT64),
        NULLIF(CAST(`t0`.`views` AS FLOAT64), 0.0)
      )
    )
  ) AS `per_view`,
  CAST(ROUND(
    IF(
      ieee_divide(
        CAST(`t0`.`likes` + `t0`.`comments` AS FLOAT64),
        NULLIF(CAST(`t0`.`followers` AS FLOAT64), 0.0)
      ) IS NULL,
      ieee_divide(
        CAST(`t0`.`likes` + `t0`.`comments` AS FLOAT64),
        NULLIF(CAST(`t0`.`followers` AS FLOAT64), 0.0)
      ),
      LEAST(
        100.0,
        ieee_divide(
          CAST(`t0`.`likes` + `t0`.`comments` AS FLOAT64),
          NULLIF(CAST(`t0`.`followers` AS FLOAT64), 0.0)
        )
      )
    ) * 16777216,
    0
  ) AS INT64) AS `rate_fixed`,
  CAST(ROUND(
    IF(
      ieee_divide(
        CAST(`t0`.`likes` + `t0`.`comments` AS FLOAT64),
        NULLIF(CAST(`t0`.`views` AS FLOAT64), 0.0)
      ) IS NULL,
      ieee_divide(
        CAST(`t0`.`likes` + `t0`.`comments` AS FLOAT64),
        NULLIF(CAST(`t0`.`views` AS FLOAT64), 0.0)
      ),
      LEAST(
        100.0,
        ieee_divide(
          CAST(`t0`.`likes` + `t0`.`comments` AS FLOAT64),
          NULLIF(CAST(`t0`.`views` AS FLOAT64), 0.0)
        )
      )
    ) * 16777216,
    0
  ) AS INT64) AS `per_view_fixed`,
  CAST(ROUND(
    LN(
      IF(
        ieee_divide(
          CAST(`t0`.`likes` + `t0`.`comments` AS FLOAT64),
          NULLIF(CAST(`t0`.`followers` AS FLOAT64), 0.0)
        ) IS NULL,
        ieee_divide(
          CAST(`t0`.`likes` + `t0`.`comments` AS FLOAT64),
          NULLIF(CAST(`t0`.`followers` AS FLOAT64), 0.0)
        ),
        LEAST(
          100.0,
          ieee_divide(
            CAST(`t0`.`likes` + `t0`.`comments` AS FLOAT64),
            NULLIF(CAST(`t0`.`followers` AS FLOAT64), 0.0)
          )
        )
      ) + 1e-06
    ) * 65536,
    0
  ) AS INT64) AS `log_coarse`,
  ieee_divide(
    CAST(DATETIME_DIFF(
      `t0`.`posted_at`,
      LAG(`t0`.`posted_at`, 1) OVER (PARTITION BY `t0`.`creator_id` ORDER BY `t0`.`seq` ASC),
      MICROSECOND
    ) AS FLOAT64),
    86400000000
  ) AS `gap`,
  CAST(ROUND(
    ieee_divide(
      CAST(DATETIME_DIFF(
        `t0`.`posted_at`,
        LAG(`t0`.`posted_at`, 1) OVER (PARTITION BY `t0`.`creator_id` ORDER BY `t0`.`seq` ASC),
        MICROSECOND
      ) AS FLOAT64),
      86400000000
    ) * 65536,
    0
  ) AS INT64) AS `gap_coarse`
FROM `numbered_posts` AS `t0`;

-- from_posts
SELECT
  `t7`.`creator_id`,
  `t7`.`as_of`,
  (
    ARRAY_AGG(
      IF(`t7`.`recent`, `t7`.`rate`, NULL) IGNORE NULLS ORDER BY IF(`t7`.`recent`, `t7`.`rate`, NULL)
    )[safe_offset(DIV(COUNT(IF(`t7`.`recent`, `t7`.`rate`, NULL)) - 1, 2))] + ARRAY_AGG(
      IF(`t7`.`recent`, `t7`.`rate`, NULL) IGNORE NULLS ORDER BY IF(`t7`.`recent`, `t7`.`rate`, NULL)
    )[safe_offset(DIV(COUNT(IF(`t7`.`recent`, `t7`.`rate`, NULL)), 2))]
  ) / 2 AS `engagement_rate_median`,
  (
    ARRAY_AGG(`t7`.`rate` IGNORE NULLS ORDER BY `t7`.`rate`)[safe_offset(DIV(COUNT(`t7`.`rate`) - 1, 2))] + ARRAY_AGG(`t7`.`rate` IGNORE NULLS ORDER BY `t7`.`rate`)[safe_offset(DIV(COUNT(`t7`.`rate`), 2))]
  ) / 2 AS `engagement_rate_year`,
  (
    ARRAY_AGG(
      IF(`t7`.`recent`, `t7`.`per_view`, NULL) IGNORE NULLS ORDER BY IF(`t7`.`recent`, `t7`.`per_view`, NULL)
    )[safe_offset(DIV(COUNT(IF(`t7`.`recent`, `t7`.`per_view`, NULL)) - 1, 2))] + ARRAY_AGG(
      IF(`t7`.`recent`, `t7`.`per_view`, NULL) IGNORE NULLS ORDER BY IF(`t7`.`recent`, `t7`.`per_view`, NULL)
    )[safe_offset(DIV(COUNT(IF(`t7`.`recent`, `t7`.`per_view`, NULL)), 2))]
  ) / 2 AS `engagement_per_view_median`,
  SUM(IF(`t7`.`recent`, `t7`.`rate_fixed`, NULL)) AS `rate_sum`,
  COUNT(IF(`t7`.`recent`, `t7`.`rate_fixed`, NULL)) AS `rate_n`,
  SUM(IF(`t7`.`recent`, `t7`.`per_view_fixed`, NULL)) AS `per_view_sum`,
  COUNT(IF(`t7`.`recent`, `t7`.`per_view_fixed`, NULL)) AS `per_view_n`,
  SUM(`t7`.`log_coarse`) AS `log_sum`,
  SUM(`t7`.`log_coarse` * `t7`.`log_coarse`) AS `log2_sum`,
  COUNT(`t7`.`log_coarse`) AS `log_n`,
  SUM(IF(`t7`.`recent` AND (
    `t7`.`comments` IS NOT NULL
  ), `t7`.`likes`, NULL)) AS `likes_90`,
  SUM(IF(`t7`.`recent` AND (
    `t7`.`likes` IS NOT NULL
  ), `t7`.`comments`, NULL)) AS `comments_90`,
  SUM(IF(`t7`.`comments` IS NOT NULL, `t7`.`likes`, NULL)) AS `likes_365`,
  SUM(IF(`t7`.`likes` IS NOT NULL, `t7`.`comments`, NULL)) AS `comments_365`,
  SUM(IF(`t7`.`recent` AND (
    `t7`.`likes` IS NOT NULL
  ), `t7`.`saves`, NULL)) AS `saves_90`,
  SUM(IF(`t7`.`recent` AND (
    `t7`.`saves` IS NOT NULL
  ), `t7`.`likes`, NULL)) AS `save_likes_90`,
  SUM(IF(`t7`.`likes` IS NOT NULL, `t7`.`saves`, NULL)) AS `saves_365`,
  SUM(IF(`t7`.`saves` IS NOT NULL, `t7`.`likes`, NULL)) AS `save_likes_365`,
  SUM(IF(`t7`.`recent` AND (
    `t7`.`likes` IS NOT NULL
  ), `t7`.`shares`, NULL)) AS `shares_90`,
  SUM(IF(`t7`.`recent` AND (
    `t7`.`shares` IS NOT NULL
  ), `t7`.`likes`, NULL)) AS `share_likes_90`,
  SUM(IF(`t7`.`likes` IS NOT NULL, `t7`.`shares`, NULL)) AS `shares_365`,
  SUM(IF(`t7`.`shares` IS NOT NULL, `t7`.`likes`, NULL)) AS `share_likes_365`,
  SUM(IF((
    `t7`.`rate` IS NOT NULL
  ) AND `t7`.`is_sponsored`, `t7`.`engaged`, NULL)) AS `engaged_sponsored`,
  SUM(
    IF((
      `t7`.`rate` IS NOT NULL
    ) AND `t7`.`is_sponsored`, `t7`.`followers`, NULL)
  ) AS `followers_sponsored`,
  SUM(
    IF(
      (
        `t7`.`rate` IS NOT NULL
      ) AND NOT (
        `t7`.`is_sponsored`
      ),
      `t7`.`engaged`,
      NULL
    )
  ) AS `engaged_organic`,
  SUM(
    IF(
      (
        `t7`.`rate` IS NOT NULL
      ) AND NOT (
        `t7`.`is_sponsored`
      ),
      `t7`.`followers`,
      NULL
    )
  ) AS `followers_organic`,
  SUM(IF((
    `t7`.`rate` IS NOT NULL
  ) AND `t7`.`recent`, `t7`.`engaged`, NULL)) AS `engaged_90`,
  SUM(IF((
    `t7`.`rate` IS NOT NULL
  ) AND `t7`.`recent`, `t7`.`followers`, NULL)) AS `followers_90`,
  SUM(IF(`t7`.`rate` IS NOT NULL, `t7`.`engaged`, NULL)) AS `engaged_365`,
  SUM(IF(`t7`.`rate` IS NOT NULL, `t7`.`followers`, NULL)) AS `followers_365`,
  COUNTIF(`t7`.`recent`) AS `posts_90`,
  (
    ARRAY_AGG(`t7`.`gap` IGNORE NULLS ORDER BY `t7`.`gap`)[safe_offset(DIV(COUNT(`t7`.`gap`) - 1, 2))] + ARRAY_AGG(`t7`.`gap` IGNORE NULLS ORDER BY `t7`.`gap`)[safe_offset(DIV(COUNT(`t7`.`gap`), 2))]
  ) / 2 AS `posting_gap_days`,
  SUM(`t7`.`gap_coarse`) AS `gap_sum`,
  SUM(`t7`.`gap_coarse` * `t7`.`gap_coarse`) AS `gap2_sum`,
  COUNT(`t7`.`gap_coarse`) AS `gap_n`,
  MAX(`t7`.`posted_at`) AS `last_post_at`
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
      `t5`.`engaged`,
      `t5`.`rate`,
      `t5`.`per_view`,
      `t5`.`rate_fixed`,
      `t5`.`per_view_fixed`,
      `t5`.`log_coarse`,
      `t5`.`gap`,
      `t5`.`gap_coarse`,
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
        `t2`.`engaged`,
        `t2`.`rate`,
        `t2`.`per_view`,
        `t2`.`rate_fixed`,
        `t2`.`per_view_fixed`,
        `t2`.`log_coarse`,
        `t2`.`gap`,
        `t2`.`gap_coarse`,
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
  ieee_divide(
    ieee_divide(CAST(`t0`.`rate_sum` AS FLOAT64), 16777216),
    NULLIF(CAST(`t0`.`rate_n` AS FLOAT64), 0.0)
  ) AS `engagement_rate_mean`,
  ieee_divide(
    ieee_divide(CAST(`t0`.`per_view_sum` AS FLOAT64), 16777216),
    NULLIF(CAST(`t0`.`per_view_n` AS FLOAT64), 0.0)
  ) AS `engagement_per_view_mean`,
  IF(
    `t0`.`log_n` >= 2,
    ieee_divide(
      SQRT(
        IF(
          (
            ieee_divide(CAST(`t0`.`log2_sum` AS FLOAT64), NULLIF(CAST(`t0`.`log_n` AS FLOAT64), 0.0)) - (
              ieee_divide(CAST(`t0`.`log_sum` AS FLOAT64), NULLIF(CAST(`t0`.`log_n` AS FLOAT64), 0.0)) * ieee_divide(CAST(`t0`.`log_sum` AS FLOAT64), NULLIF(CAST(`t0`.`log_n` AS FLOAT64), 0.0))
            )
          ) IS NULL,
          ieee_divide(CAST(`t0`.`log2_sum` AS FLOAT64), NULLIF(CAST(`t0`.`log_n` AS FLOAT64), 0.0)) - (
            ieee_divide(CAST(`t0`.`log_sum` AS FLOAT64), NULLIF(CAST(`t0`.`log_n` AS FLOAT64), 0.0)) * ieee_divide(CAST(`t0`.`log_sum` AS FLOAT64), NULLIF(CAST(`t0`.`log_n` AS FLOAT64), 0.0))
          ),
          GREATEST(
            0.0,
            ieee_divide(CAST(`t0`.`log2_sum` AS FLOAT64), NULLIF(CAST(`t0`.`log_n` AS FLOAT64), 0.0)) - (
              ieee_divide(CAST(`t0`.`log_sum` AS FLOAT64), NULLIF(CAST(`t0`.`log_n` AS FLOAT64), 0.0)) * ieee_divide(CAST(`t0`.`log_sum` AS FLOAT64), NULLIF(CAST(`t0`.`log_n` AS FLOAT64), 0.0))
            )
          )
        )
      ),
      65536
    ),
    CAST(NULL AS FLOAT64)
  ) AS `engagement_spread`,
  ieee_divide(CAST(`t0`.`comments_90` AS FLOAT64), NULLIF(CAST(`t0`.`likes_90` AS FLOAT64), 0.0)) AS `comments_per_like`,
  ieee_divide(
    CAST(`t0`.`comments_365` AS FLOAT64),
    NULLIF(CAST(`t0`.`likes_365` AS FLOAT64), 0.0)
  ) AS `comments_per_like_year`,
  ieee_divide(
    CAST(`t0`.`saves_90` AS FLOAT64),
    NULLIF(CAST(`t0`.`save_likes_90` AS FLOAT64), 0.0)
  ) AS `saves_per_like`,
  ieee_divide(
    CAST(`t0`.`saves_365` AS FLOAT64),
    NULLIF(CAST(`t0`.`save_likes_365` AS FLOAT64), 0.0)
  ) AS `saves_per_like_year`,
  ieee_divide(
    CAST(`t0`.`shares_90` AS FLOAT64),
    NULLIF(CAST(`t0`.`share_likes_90` AS FLOAT64), 0.0)
  ) AS `shares_per_like`,
  ieee_divide(
    CAST(`t0`.`shares_365` AS FLOAT64),
    NULLIF(CAST(`t0`.`share_likes_365` AS FLOAT64), 0.0)
  ) AS `shares_per_like_year`,
  ieee_divide(
    ieee_divide(
      CAST(`t0`.`engaged_sponsored` AS FLOAT64),
      NULLIF(CAST(`t0`.`followers_sponsored` AS FLOAT64), 0.0)
    ),
    NULLIF(
      ieee_divide(
        CAST(`t0`.`engaged_organic` AS FLOAT64),
        NULLIF(CAST(`t0`.`followers_organic` AS FLOAT64), 0.0)
      ),
      0.0
    )
  ) AS `engagement_sponsored_ratio`,
  ieee_divide(
    ieee_divide(
      CAST(`t0`.`engaged_90` AS FLOAT64),
      NULLIF(CAST(`t0`.`followers_90` AS FLOAT64), 0.0)
    ),
    NULLIF(
      ieee_divide(
        CAST(`t0`.`engaged_365` AS FLOAT64),
        NULLIF(CAST(`t0`.`followers_365` AS FLOAT64), 0.0)
      ),
      0.0
    )
  ) AS `engagement_trend`,
  CAST(`t0`.`posts_90` AS FLOAT64) AS `posts_90d`,
  ieee_divide(
    IF(
      `t0`.`gap_n` >= 2,
      ieee_divide(
        SQRT(
          IF(
            (
              ieee_divide(CAST(`t0`.`gap2_sum` AS FLOAT64), NULLIF(CAST(`t0`.`gap_n` AS FLOAT64), 0.0)) - (
                ieee_divide(CAST(`t0`.`gap_sum` AS FLOAT64), NULLIF(CAST(`t0`.`gap_n` AS FLOAT64), 0.0)) * ieee_divide(CAST(`t0`.`gap_sum` AS FLOAT64), NULLIF(CAST(`t0`.`gap_n` AS FLOAT64), 0.0))
              )
            ) IS NULL,
            ieee_divide(CAST(`t0`.`gap2_sum` AS FLOAT64), NULLIF(CAST(`t0`.`gap_n` AS FLOAT64), 0.0)) - (
              ieee_divide(CAST(`t0`.`gap_sum` AS FLOAT64), NULLIF(CAST(`t0`.`gap_n` AS FLOAT64), 0.0)) * ieee_divide(CAST(`t0`.`gap_sum` AS FLOAT64), NULLIF(CAST(`t0`.`gap_n` AS FLOAT64), 0.0))
            ),
            GREATEST(
              0.0,
              ieee_divide(CAST(`t0`.`gap2_sum` AS FLOAT64), NULLIF(CAST(`t0`.`gap_n` AS FLOAT64), 0.0)) - (
                ieee_divide(CAST(`t0`.`gap_sum` AS FLOAT64), NULLIF(CAST(`t0`.`gap_n` AS FLOAT64), 0.0)) * ieee_divide(CAST(`t0`.`gap_sum` AS FLOAT64), NULLIF(CAST(`t0`.`gap_n` AS FLOAT64), 0.0))
              )
            )
          )
        ),
        65536
      ),
      CAST(NULL AS FLOAT64)
    ),
    NULLIF(
      ieee_divide(
        ieee_divide(CAST(`t0`.`gap_sum` AS FLOAT64), NULLIF(CAST(`t0`.`gap_n` AS FLOAT64), 0.0)),
        65536
      ),
      0.0
    )
  ) AS `posting_irregularity`,
  IF(
    ieee_divide(
      CAST(DATETIME_DIFF(`t0`.`history_end`, `t0`.`last_post_at`, MICROSECOND) AS FLOAT64),
      86400000000
    ) IS NULL,
    ieee_divide(
      CAST(DATETIME_DIFF(`t0`.`history_end`, `t0`.`last_post_at`, MICROSECOND) AS FLOAT64),
      86400000000
    ),
    GREATEST(
      0.0,
      ieee_divide(
        CAST(DATETIME_DIFF(`t0`.`history_end`, `t0`.`last_post_at`, MICROSECOND) AS FLOAT64),
        86400000000
      )
    )
  ) AS `days_since_post`
FROM `sums` AS `t0`;
