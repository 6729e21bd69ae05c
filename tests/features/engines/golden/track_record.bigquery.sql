-- checkpoints
WITH `t7` AS (
  SELECT
    `t5`.`collaboration_id`,
    `t5`.`creator_id`,
    `t5`.`brand`,
    `t5`.`product_niche`,
    `t5`.`spend`,
    `t5`.`starts_at`,
    `t5`.`observed_until`,
    `t5`.`conversions`,
    `t5`.`clicks`,
    `t5`.`settled_at`
  FROM (
    SELECT
      `t0`.`collaboration_id`,
      `t0`.`creator_id`,
      `t0`.`brand`,
      `t0`.`product_niche`,
      `t0`.`spend`,
      `t0`.`starts_at`,
      `t0`.`observed_until`,
      `t0`.`conversions`,
      `t0`.`clicks`,
      LEAST(
        `t0`.`observed_until`,
        DATETIME_ADD(
          `t0`.`starts_at`,
          INTERVAL (CAST(ROUND(
            IF(
              (
                ieee_divide(`t0`.`promotion_hours`, 24.0) + 30.0
              ) IS NULL,
              ieee_divide(`t0`.`promotion_hours`, 24.0) + 30.0,
              LEAST(100000.0, ieee_divide(`t0`.`promotion_hours`, 24.0) + 30.0)
            ) * 86400000000,
            0
          ) AS INT64)) MICROSECOND
        )
      ) AS `settled_at`
    FROM `collaborations` AS `t0`
  ) AS `t5`
  WHERE
    EXISTS(
      SELECT
        1
      FROM `conversions` AS `t2`
      WHERE
        `t5`.`collaboration_id` = `t2`.`collaboration_id`
    )
)
SELECT
  *
FROM (
  SELECT
    `t33`.`collaboration_id`,
    `t33`.`creator_id`,
    `t33`.`brand`,
    `t33`.`product_niche`,
    `t33`.`spend`,
    `t33`.`starts_at`,
    `t33`.`at`,
    `t33`.`count`,
    IF(`t33`.`settled`, `t33`.`clicks`, CAST(NULL AS FLOAT64)) AS `clicks`,
    ieee_divide(
      CAST(DATETIME_DIFF(
        IF(`t33`.`settled`, `t33`.`at`, CAST(DATETIME_TRUNC(`t33`.`at`, DAY) AS DATETIME)),
        `t33`.`starts_at`,
        MICROSECOND
      ) AS FLOAT64),
      86400000000
    ) AS `age`,
    `t33`.`settled`
  FROM (
    SELECT
      `t27`.`collaboration_id`,
      `t27`.`creator_id`,
      `t27`.`brand`,
      `t27`.`product_niche`,
      `t27`.`spend`,
      `t27`.`starts_at`,
      `t27`.`observed_until`,
      `t27`.`clicks`,
      `t27`.`settled_at`,
      `t27`.`at`,
      `t27`.`settled`,
      `t27`.`as_of`,
      `t32`.`count`,
      `t32`.`rows`
    FROM (
      SELECT
        `t24`.`collaboration_id`,
        `t24`.`creator_id`,
        `t24`.`brand`,
        `t24`.`product_niche`,
        `t24`.`spend`,
        `t24`.`starts_at`,
        `t24`.`observed_until`,
        `t24`.`clicks`,
        `t24`.`settled_at`,
        `t24`.`at`,
        `t24`.`settled`,
        DATETIME_ADD(`t24`.`at`, INTERVAL '1' MICROSECOND) AS `as_of`
      FROM (
        SELECT
          `t23`.*
          EXCEPT (`conversions`)
        FROM (
          SELECT
            *
          FROM (
            SELECT
              *
            FROM (
              SELECT
                *
              FROM (
                SELECT
                  `t8`.`collaboration_id`,
                  `t8`.`creator_id`,
                  `t8`.`brand`,
                  `t8`.`product_niche`,
                  `t8`.`spend`,
                  `t8`.`starts_at`,
                  `t8`.`observed_until`,
                  `t8`.`conversions`,
                  `t8`.`clicks`,
                  `t8`.`settled_at`,
                  DATETIME_ADD(`t8`.`starts_at`, INTERVAL '40' DAY) AS `at`,
                  FALSE AS `settled`
                FROM `t7` AS `t8`
              ) AS `t10`
              UNION ALL
              SELECT
                *
              FROM (
                SELECT
                  `t8`.`collaboration_id`,
                  `t8`.`creator_id`,
                  `t8`.`brand`,
                  `t8`.`product_niche`,
                  `t8`.`spend`,
                  `t8`.`starts_at`,
                  `t8`.`observed_until`,
                  `t8`.`conversions`,
                  `t8`.`clicks`,
                  `t8`.`settled_at`,
                  `t8`.`settled_at` AS `at`,
                  TRUE AS `settled`
                FROM `t7` AS `t8`
              ) AS `t9`
            ) AS `t16`
            UNION ALL
            SELECT
              *
            FROM (
              SELECT
                *
              FROM (
                SELECT
                  *
                FROM (
                  SELECT
                    `t8`.`collaboration_id`,
                    `t8`.`creator_id`,
                    `t8`.`brand`,
                    `t8`.`product_niche`,
                    `t8`.`spend`,
                    `t8`.`starts_at`,
                    `t8`.`observed_until`,
                    `t8`.`conversions`,
                    `t8`.`clicks`,
                    `t8`.`settled_at`,
                    DATETIME_ADD(`t8`.`starts_at`, INTERVAL '2' DAY) AS `at`,
                    FALSE AS `settled`
                  FROM `t7` AS `t8`
                ) AS `t11`
                UNION ALL
                SELECT
                  *
                FROM (
                  SELECT
                    `t8`.`collaboration_id`,
                    `t8`.`creator_id`,
                    `t8`.`brand`,
                    `t8`.`product_niche`,
                    `t8`.`spend`,
                    `t8`.`starts_at`,
                    `t8`.`observed_until`,
                    `t8`.`conversions`,
                    `t8`.`clicks`,
                    `t8`.`settled_at`,
                    DATETIME_ADD(`t8`.`starts_at`, INTERVAL '5' DAY) AS `at`,
                    FALSE AS `settled`
                  FROM `t7` AS `t8`
                ) AS `t12`
              ) AS `t17`
              UNION ALL
              SELECT
                *
              FROM (
                SELECT
                  *
                FROM (
                  SELECT
                    `t8`.`collaboration_id`,
                    `t8`.`creator_id`,
                    `t8`.`brand`,
                    `t8`.`product_niche`,
                    `t8`.`spend`,
                    `t8`.`starts_at`,
                    `t8`.`observed_until`,
                    `t8`.`conversions`,
                    `t8`.`clicks`,
                    `t8`.`settled_at`,
                    DATETIME_ADD(`t8`.`starts_at`, INTERVAL '10' DAY) AS `at`,
                    FALSE AS `settled`
                  FROM `t7` AS `t8`
                ) AS `t13`
                UNION ALL
                SELECT
                  *
                FROM (
                  SELECT
                    `t8`.`collaboration_id`,
                    `t8`.`creator_id`,
                    `t8`.`brand`,
                    `t8`.`product_niche`,
                    `t8`.`spend`,
                    `t8`.`starts_at`,
                    `t8`.`observed_until`,
                    `t8`.`conversions`,
                    `t8`.`clicks`,
                    `t8`.`settled_at`,
                    DATETIME_ADD(`t8`.`starts_at`, INTERVAL '20' DAY) AS `at`,
                    FALSE AS `settled`
                  FROM `t7` AS `t8`
                ) AS `t14`
              ) AS `t18`
            ) AS `t19`
          ) AS `t21`
          WHERE
            `t21`.`at` < `t21`.`observed_until`
        ) AS `t23`
      ) AS `t24`
    ) AS `t27`
    LEFT OUTER JOIN (
      SELECT
        `t30`.`collaboration_id` AS `_0_collaboration_id`,
        DATETIME_ADD(`t30`.`at`, INTERVAL '1' MICROSECOND) AS `_0_as_of`,
        `t30`.`count`,
        `t30`.`rows`
      FROM (
        SELECT
          `t29`.`collaboration_id`,
          `t29`.`at`,
          SUM(`t29`.`count`) OVER (
            PARTITION BY `t29`.`collaboration_id`
            ORDER BY `t29`.`at` ASC
            RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
          ) AS `count`,
          SUM(`t29`.`rows`) OVER (
            PARTITION BY `t29`.`collaboration_id`
            ORDER BY `t29`.`at` ASC
            RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
          ) AS `rows`,
          `t29`.`is_key`
        FROM (
          SELECT
            *
          FROM (
            SELECT
              `t1`.`collaboration_id`,
              DATETIME_ADD(CAST(`t1`.`date` AS DATETIME), INTERVAL '1' DAY) AS `at`,
              `t1`.`conversions` AS `count`,
              1 AS `rows`,
              FALSE AS `is_key`
            FROM `conversions` AS `t1`
          ) AS `t3`
          UNION ALL
          SELECT
            *
          FROM (
            SELECT
              `t26`.`collaboration_id`,
              DATETIME_SUB(`t26`.`as_of`, INTERVAL '1' MICROSECOND) AS `at`,
              0 AS `count`,
              0 AS `rows`,
              TRUE AS `is_key`
            FROM (
              SELECT DISTINCT
                `t24`.`collaboration_id`,
                DATETIME_ADD(`t24`.`at`, INTERVAL '1' MICROSECOND) AS `as_of`
              FROM (
                SELECT
                  `t23`.*
                  EXCEPT (`conversions`)
                FROM (
                  SELECT
                    *
                  FROM (
                    SELECT
                      *
                    FROM (
                      SELECT
                        *
                      FROM (
                        SELECT
                          `t8`.`collaboration_id`,
                          `t8`.`creator_id`,
                          `t8`.`brand`,
                          `t8`.`product_niche`,
                          `t8`.`spend`,
                          `t8`.`starts_at`,
                          `t8`.`observed_until`,
                          `t8`.`conversions`,
                          `t8`.`clicks`,
                          `t8`.`settled_at`,
                          DATETIME_ADD(`t8`.`starts_at`, INTERVAL '40' DAY) AS `at`,
                          FALSE AS `settled`
                        FROM `t7` AS `t8`
                      ) AS `t10`
                      UNION ALL
                      SELECT
                        *
                      FROM (
                        SELECT
                          `t8`.`collaboration_id`,
                          `t8`.`creator_id`,
                          `t8`.`brand`,
                          `t8`.`product_niche`,
                          `t8`.`spend`,
                          `t8`.`starts_at`,
                          `t8`.`observed_until`,
                          `t8`.`conversions`,
                          `t8`.`clicks`,
                          `t8`.`settled_at`,
                          `t8`.`settled_at` AS `at`,
                          TRUE AS `settled`
                        FROM `t7` AS `t8`
                      ) AS `t9`
                    ) AS `t16`
                    UNION ALL
                    SELECT
                      *
                    FROM (
                      SELECT
                        *
                      FROM (
                        SELECT
                          *
                        FROM (
                          SELECT
                            `t8`.`collaboration_id`,
                            `t8`.`creator_id`,
                            `t8`.`brand`,
                            `t8`.`product_niche`,
                            `t8`.`spend`,
                            `t8`.`starts_at`,
                            `t8`.`observed_until`,
                            `t8`.`conversions`,
                            `t8`.`clicks`,
                            `t8`.`settled_at`,
                            DATETIME_ADD(`t8`.`starts_at`, INTERVAL '2' DAY) AS `at`,
                            FALSE AS `settled`
                          FROM `t7` AS `t8`
                        ) AS `t11`
                        UNION ALL
                        SELECT
                          *
                        FROM (
                          SELECT
                            `t8`.`collaboration_id`,
                            `t8`.`creator_id`,
                            `t8`.`brand`,
                            `t8`.`product_niche`,
                            `t8`.`spend`,
                            `t8`.`starts_at`,
                            `t8`.`observed_until`,
                            `t8`.`conversions`,
                            `t8`.`clicks`,
                            `t8`.`settled_at`,
                            DATETIME_ADD(`t8`.`starts_at`, INTERVAL '5' DAY) AS `at`,
                            FALSE AS `settled`
                          FROM `t7` AS `t8`
                        ) AS `t12`
                      ) AS `t17`
                      UNION ALL
                      SELECT
                        *
                      FROM (
                        SELECT
                          *
                        FROM (
                          SELECT
                            `t8`.`collaboration_id`,
                            `t8`.`creator_id`,
                            `t8`.`brand`,
                            `t8`.`product_niche`,
                            `t8`.`spend`,
                            `t8`.`starts_at`,
                            `t8`.`observed_until`,
                            `t8`.`conversions`,
                            `t8`.`clicks`,
                            `t8`.`settled_at`,
                            DATETIME_ADD(`t8`.`starts_at`, INTERVAL '10' DAY) AS `at`,
                            FALSE AS `settled`
                          FROM `t7` AS `t8`
                        ) AS `t13`
                        UNION ALL
                        SELECT
                          *
                        FROM (
                          SELECT
                            `t8`.`collaboration_id`,
                            `t8`.`creator_id`,
                            `t8`.`brand`,
                            `t8`.`product_niche`,
                            `t8`.`spend`,
                            `t8`.`starts_at`,
                            `t8`.`observed_until`,
                            `t8`.`conversions`,
                            `t8`.`clicks`,
                            `t8`.`settled_at`,
                            DATETIME_ADD(`t8`.`starts_at`, INTERVAL '20' DAY) AS `at`,
                            FALSE AS `settled`
                          FROM `t7` AS `t8`
                        ) AS `t14`
                      ) AS `t18`
                    ) AS `t19`
                  ) AS `t21`
                  WHERE
                    `t21`.`at` < `t21`.`observed_until`
                ) AS `t23`
              ) AS `t24`
            ) AS `t26`
          ) AS `t28`
        ) AS `t29`
      ) AS `t30`
      WHERE
        `t30`.`is_key`
    ) AS `t32`
      ON `t27`.`collaboration_id` = `t32`.`_0_collaboration_id`
      AND `t27`.`as_of` = `t32`.`_0_as_of`
  ) AS `t33`
  WHERE
    `t33`.`settled` OR (
      `t33`.`rows` > 0
    )
) AS `t34`
UNION ALL
SELECT
  *
FROM (
  SELECT
    *
  FROM (
    SELECT
      `t6`.`collaboration_id`,
      `t6`.`creator_id`,
      `t6`.`brand`,
      `t6`.`product_niche`,
      `t6`.`spend`,
      `t6`.`starts_at`,
      `t6`.`settled_at` AS `at`,
      `t6`.`conversions` AS `count`,
      `t6`.`clicks`,
      ieee_divide(
        CAST(DATETIME_DIFF(`t6`.`settled_at`, `t6`.`starts_at`, MICROSECOND) AS FLOAT64),
        86400000000
      ) AS `age`,
      `t6`.`settled_at` = `t6`.`settled_at` AS `settled`
    FROM (
      SELECT
        `t5`.`collaboration_id`,
        `t5`.`creator_id`,
        `t5`.`brand`,
        `t5`.`product_niche`,
        `t5`.`spend`,
        `t5`.`starts_at`,
        `t5`.`observed_until`,
        `t5`.`conversions`,
        `t5`.`clicks`,
        `t5`.`settled_at`
      FROM (
        SELECT
          `t0`.`collaboration_id`,
          `t0`.`creator_id`,
          `t0`.`brand`,
          `t0`.`product_niche`,
          `t0`.`spend`,
          `t0`.`starts_at`,
          `t0`.`observed_until`,
          `t0`.`conversions`,
          `t0`.`clicks`,
          LEAST(
            `t0`.`observed_until`,
            DATETIME_ADD(
              `t0`.`starts_at`,
              INTERVAL (CAST(ROUND(
                IF(
                  (
                    ieee_divide(`t0`.`promotion_hours`, 24.0) + 30.0
                  ) IS NULL,
                  ieee_divide(`t0`.`promotion_hours`, 24.0) + 30.0,
                  LEAST(100000.0, ieee_divide(`t0`.`promotion_hours`, 24.0) + 30.0)
                ) * 86400000000,
                0
              ) AS INT64)) MICROSECOND
            )
          ) AS `settled_at`
        FROM `collaborations` AS `t0`
      ) AS `t5`
      WHERE
        NOT EXISTS(
          SELECT
            1
          FROM `conversions` AS `t2`
          WHERE
            `t5`.`collaboration_id` = `t2`.`collaboration_id`
        )
    ) AS `t6`
  ) AS `t15`
  UNION ALL
  SELECT
    *
  FROM (
    SELECT
      `t8`.`collaboration_id`,
      `t8`.`creator_id`,
      `t8`.`brand`,
      `t8`.`product_niche`,
      `t8`.`spend`,
      `t8`.`starts_at`,
      `t8`.`observed_until` AS `at`,
      `t8`.`conversions` AS `count`,
      `t8`.`clicks`,
      ieee_divide(
        CAST(DATETIME_DIFF(`t8`.`observed_until`, `t8`.`starts_at`, MICROSECOND) AS FLOAT64),
        86400000000
      ) AS `age`,
      `t8`.`observed_until` = `t8`.`settled_at` AS `settled`
    FROM `t7` AS `t8`
  ) AS `t20`
) AS `t22`;

-- with_rates
SELECT
  `t0`.`collaboration_id`,
  `t0`.`creator_id`,
  `t0`.`brand`,
  `t0`.`product_niche`,
  `t0`.`spend`,
  `t0`.`starts_at`,
  `t0`.`at`,
  `t0`.`count`,
  `t0`.`clicks`,
  `t0`.`age`,
  `t0`.`settled`,
  `t0`.`spend` * IF(
    (
      1.0 - EXP(
        ieee_divide(-(
          IF(`t0`.`age` IS NULL, `t0`.`age`, LEAST(280.0, `t0`.`age`))
        ), 7.0)
      )
    ) IS NULL,
    1.0 - EXP(
      ieee_divide(-(
        IF(`t0`.`age` IS NULL, `t0`.`age`, LEAST(280.0, `t0`.`age`))
      ), 7.0)
    ),
    GREATEST(
      0.02,
      1.0 - EXP(
        ieee_divide(-(
          IF(`t0`.`age` IS NULL, `t0`.`age`, LEAST(280.0, `t0`.`age`))
        ), 7.0)
      )
    )
  ) AS `exposure`,
  LN(
    ieee_divide(
      `t0`.`count` + 0.5,
      `t0`.`spend` * IF(
        (
          1.0 - EXP(
            ieee_divide(-(
              IF(`t0`.`age` IS NULL, `t0`.`age`, LEAST(280.0, `t0`.`age`))
            ), 7.0)
          )
        ) IS NULL,
        1.0 - EXP(
          ieee_divide(-(
            IF(`t0`.`age` IS NULL, `t0`.`age`, LEAST(280.0, `t0`.`age`))
          ), 7.0)
        ),
        GREATEST(
          0.02,
          1.0 - EXP(
            ieee_divide(-(
              IF(`t0`.`age` IS NULL, `t0`.`age`, LEAST(280.0, `t0`.`age`))
            ), 7.0)
          )
        )
      )
    )
  ) AS `log_rate`,
  LN(
    ieee_divide(
      `t0`.`clicks` + 0.5,
      `t0`.`spend` * IF(
        (
          1.0 - EXP(
            ieee_divide(-(
              IF(`t0`.`age` IS NULL, `t0`.`age`, LEAST(280.0, `t0`.`age`))
            ), 7.0)
          )
        ) IS NULL,
        1.0 - EXP(
          ieee_divide(-(
            IF(`t0`.`age` IS NULL, `t0`.`age`, LEAST(280.0, `t0`.`age`))
          ), 7.0)
        ),
        GREATEST(
          0.02,
          1.0 - EXP(
            ieee_divide(-(
              IF(`t0`.`age` IS NULL, `t0`.`age`, LEAST(280.0, `t0`.`age`))
            ), 7.0)
          )
        )
      )
    )
  ) AS `log_clicks`
FROM `steps` AS `t0`;

-- level_events
SELECT
  *
FROM (
  SELECT
    `t3`.`at`,
    1 AS `level_n`,
    CAST(ROUND(`t3`.`log_rate` * 16777216, 0) AS INT64) AS `level_sum`,
    0 AS `click_n`,
    0 AS `click_sum`,
    1 AS `everything`
  FROM (
    SELECT
      `t2`.`collaboration_id`,
      `t2`.`creator_id`,
      `t2`.`brand`,
      `t2`.`product_niche`,
      `t2`.`spend`,
      `t2`.`starts_at`,
      `t2`.`at`,
      `t2`.`count`,
      `t2`.`clicks`,
      `t2`.`age`,
      `t2`.`settled`,
      `t2`.`exposure`,
      `t2`.`log_rate`,
      `t2`.`log_clicks`,
      ROW_NUMBER() OVER (PARTITION BY `t2`.`collaboration_id` ORDER BY `t2`.`at` ASC, `t2`.`settled` ASC) - 1 AS `place`
    FROM (
      SELECT
        *
      FROM `rated` AS `t0`
      WHERE
        `t0`.`settled`
        OR (
          `t0`.`at` >= DATETIME_ADD(`t0`.`starts_at`, INTERVAL '20' DAY)
        )
    ) AS `t2`
  ) AS `t3`
  WHERE
    `t3`.`place` = 0
) AS `t4`
UNION ALL
SELECT
  *
FROM (
  SELECT
    `t0`.`at`,
    0 AS `level_n`,
    0 AS `level_sum`,
    1 AS `click_n`,
    CAST(ROUND(`t0`.`log_clicks` * 16777216, 0) AS INT64) AS `click_sum`,
    1 AS `everything`
  FROM `rated` AS `t0`
  WHERE
    `t0`.`settled` AND `t0`.`log_clicks` IS NOT NULL
) AS `t1`;

-- events
WITH `t7` AS (
  SELECT DISTINCT
    DATETIME_ADD(`t1`.`at`, INTERVAL '1' MICROSECOND) AS `as_of`,
    DATETIME_ADD(`t1`.`at`, INTERVAL '1' MICROSECOND) AS `history_end`,
    1 AS `everything`
  FROM `rated` AS `t1`
), `t18` AS (
  SELECT
    `t17`.`everything`,
    DATETIME_ADD(`t17`.`at`, INTERVAL '1' MICROSECOND) AS `as_of`,
    `t17`.`level_n`,
    `t17`.`level_sum`,
    `t17`.`click_n`,
    `t17`.`click_sum`
  FROM (
    SELECT
      `t16`.`everything`,
      `t16`.`at`,
      SUM(`t16`.`level_n`) OVER (
        PARTITION BY `t16`.`everything`
        ORDER BY `t16`.`at` ASC
        RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      ) AS `level_n`,
      SUM(`t16`.`level_sum`) OVER (
        PARTITION BY `t16`.`everything`
        ORDER BY `t16`.`at` ASC
        RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      ) AS `level_sum`,
      SUM(`t16`.`click_n`) OVER (
        PARTITION BY `t16`.`everything`
        ORDER BY `t16`.`at` ASC
        RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      ) AS `click_n`,
      SUM(`t16`.`click_sum`) OVER (
        PARTITION BY `t16`.`everything`
        ORDER BY `t16`.`at` ASC
        RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      ) AS `click_sum`,
      `t16`.`is_key`
    FROM (
      SELECT
        *
      FROM (
        SELECT
          `t2`.`everything`,
          `t2`.`at`,
          `t2`.`level_n`,
          `t2`.`level_sum`,
          `t2`.`click_n`,
          `t2`.`click_sum`,
          FALSE AS `is_key`
        FROM `market` AS `t2`
      ) AS `t4`
      UNION ALL
      SELECT
        *
      FROM (
        SELECT
          `t14`.`everything`,
          DATETIME_SUB(`t14`.`as_of`, INTERVAL '1' MICROSECOND) AS `at`,
          0 AS `level_n`,
          0 AS `level_sum`,
          0 AS `click_n`,
          0 AS `click_sum`,
          TRUE AS `is_key`
        FROM (
          SELECT
            *
          FROM (
            SELECT
              `t9`.`everything`,
              `t9`.`as_of`
            FROM `t7` AS `t9`
          ) AS `t10`
          UNION DISTINCT
          SELECT
            *
          FROM (
            SELECT
              `t9`.`everything`,
              DATETIME_SUB(`t9`.`history_end`, INTERVAL '180' DAY) AS `as_of`
            FROM `t7` AS `t9`
          ) AS `t12`
        ) AS `t14`
      ) AS `t15`
    ) AS `t16`
  ) AS `t17`
  WHERE
    `t17`.`is_key`
)
SELECT
  `t30`.*
  EXCEPT (`_id`)
FROM (
  SELECT
    `t29`.`collaboration_id`,
    `t29`.`creator_id`,
    `t29`.`brand`,
    `t29`.`product_niche`,
    `t29`.`spend`,
    `t29`.`starts_at`,
    `t29`.`at`,
    `t29`.`count`,
    `t29`.`clicks`,
    `t29`.`age`,
    `t29`.`settled`,
    `t29`.`exposure`,
    `t29`.`log_rate`,
    `t29`.`log_clicks`,
    `t29`.`level`,
    `t29`.`click_level`,
    `t29`.`w`,
    `t29`.`ws`,
    `t29`.`cw`,
    `t29`.`cs`,
    `t5`.`_id`,
    `t5`.`creator_niche`,
    `t5`.`tier`,
    `t5`.`platform`
  FROM (
    SELECT
      `t27`.`collaboration_id`,
      `t27`.`creator_id`,
      `t27`.`brand`,
      `t27`.`product_niche`,
      `t27`.`spend`,
      `t27`.`starts_at`,
      `t27`.`at`,
      `t27`.`count`,
      `t27`.`clicks`,
      `t27`.`age`,
      `t27`.`settled`,
      `t27`.`exposure`,
      `t27`.`log_rate`,
      `t27`.`log_clicks`,
      `t27`.`level`,
      `t27`.`click_level`,
      `t27`.`w` - COALESCE(
        LAG(`t27`.`w`, 1) OVER (
          PARTITION BY `t27`.`collaboration_id`
          ORDER BY `t27`.`at` ASC, `t27`.`settled` ASC
        ),
        0
      ) AS `w`,
      `t27`.`ws` - COALESCE(
        LAG(`t27`.`ws`, 1) OVER (
          PARTITION BY `t27`.`collaboration_id`
          ORDER BY `t27`.`at` ASC, `t27`.`settled` ASC
        ),
        0
      ) AS `ws`,
      `t27`.`cw` - COALESCE(
        LAG(`t27`.`cw`, 1) OVER (
          PARTITION BY `t27`.`collaboration_id`
          ORDER BY `t27`.`at` ASC, `t27`.`settled` ASC
        ),
        0
      ) AS `cw`,
      `t27`.`cs` - COALESCE(
        LAG(`t27`.`cs`, 1) OVER (
          PARTITION BY `t27`.`collaboration_id`
          ORDER BY `t27`.`at` ASC, `t27`.`settled` ASC
        ),
        0
      ) AS `cs`
    FROM (
      SELECT
        `t26`.`collaboration_id`,
        `t26`.`creator_id`,
        `t26`.`brand`,
        `t26`.`product_niche`,
        `t26`.`spend`,
        `t26`.`starts_at`,
        `t26`.`at`,
        `t26`.`count`,
        `t26`.`clicks`,
        `t26`.`age`,
        `t26`.`settled`,
        `t26`.`exposure`,
        `t26`.`log_rate`,
        `t26`.`log_clicks`,
        `t26`.`level`,
        `t26`.`click_level`,
        CAST(ROUND(
          IF(
            `t26`.`level` IS NOT NULL,
            ieee_divide(
              EXP(`t26`.`level`) * `t26`.`exposure`,
              (
                EXP(`t26`.`level`) * `t26`.`exposure`
              ) + 2.0
            ),
            0.0
          ) * 16777216,
          0
        ) AS INT64) AS `w`,
        COALESCE(
          CAST(ROUND(
            IF(
              `t26`.`level` IS NOT NULL,
              ieee_divide(
                EXP(`t26`.`level`) * `t26`.`exposure`,
                (
                  EXP(`t26`.`level`) * `t26`.`exposure`
                ) + 2.0
              ),
              0.0
            ) * (
              `t26`.`log_rate` - `t26`.`level`
            ) * 16777216,
            0
          ) AS INT64),
          0
        ) AS `ws`,
        IF(
          (
            `t26`.`log_clicks` IS NOT NULL
          ) AND (
            `t26`.`click_level` IS NOT NULL
          ),
          CAST(ROUND(
            IF(
              `t26`.`level` IS NOT NULL,
              ieee_divide(
                EXP(`t26`.`level`) * `t26`.`exposure`,
                (
                  EXP(`t26`.`level`) * `t26`.`exposure`
                ) + 2.0
              ),
              0.0
            ) * 16777216,
            0
          ) AS INT64),
          0
        ) AS `cw`,
        IF(
          (
            `t26`.`log_clicks` IS NOT NULL
          ) AND (
            `t26`.`click_level` IS NOT NULL
          ),
          CAST(ROUND(
            IF(
              `t26`.`level` IS NOT NULL,
              ieee_divide(
                EXP(`t26`.`level`) * `t26`.`exposure`,
                (
                  EXP(`t26`.`level`) * `t26`.`exposure`
                ) + 2.0
              ),
              0.0
            ) * (
              `t26`.`log_clicks` - `t26`.`click_level`
            ) * 16777216,
            0
          ) AS INT64),
          0
        ) AS `cs`
      FROM (
        SELECT
          `t25`.*
          EXCEPT (`_after`, `_at`)
        FROM (
          SELECT
            `t8`.`collaboration_id`,
            `t8`.`creator_id`,
            `t8`.`brand`,
            `t8`.`product_niche`,
            `t8`.`spend`,
            `t8`.`starts_at`,
            `t8`.`at`,
            `t8`.`count`,
            `t8`.`clicks`,
            `t8`.`age`,
            `t8`.`settled`,
            `t8`.`exposure`,
            `t8`.`log_rate`,
            `t8`.`log_clicks`,
            `t8`.`_after`,
            `t24`.`_at`,
            `t24`.`level`,
            `t24`.`click_level`
          FROM (
            SELECT
              `t1`.`collaboration_id`,
              `t1`.`creator_id`,
              `t1`.`brand`,
              `t1`.`product_niche`,
              `t1`.`spend`,
              `t1`.`starts_at`,
              `t1`.`at`,
              `t1`.`count`,
              `t1`.`clicks`,
              `t1`.`age`,
              `t1`.`settled`,
              `t1`.`exposure`,
              `t1`.`log_rate`,
              `t1`.`log_clicks`,
              DATETIME_ADD(`t1`.`at`, INTERVAL '1' MICROSECOND) AS `_after`
            FROM `rated` AS `t1`
          ) AS `t8`
          LEFT OUTER JOIN (
            SELECT
              `t22`.`as_of` AS `_at`,
              ieee_divide(
                ieee_divide(CAST(`t22`.`level_sum` AS FLOAT64), 16777216),
                NULLIF(CAST(`t22`.`level_n` AS FLOAT64), 0.0)
              ) AS `level`,
              ieee_divide(
                ieee_divide(CAST(`t22`.`click_sum` AS FLOAT64), 16777216),
                NULLIF(CAST(`t22`.`click_n` AS FLOAT64), 0.0)
              ) AS `click_level`
            FROM (
              SELECT
                `t13`.`everything`,
                `t13`.`as_of`,
                `t20`.`level_n` - `t21`.`level_n` AS `level_n`,
                `t20`.`level_sum` - `t21`.`level_sum` AS `level_sum`,
                `t20`.`click_n` - `t21`.`click_n` AS `click_n`,
                `t20`.`click_sum` - `t21`.`click_sum` AS `click_sum`
              FROM (
                SELECT
                  `t9`.`as_of`,
                  `t9`.`history_end`,
                  `t9`.`everything`,
                  DATETIME_SUB(`t9`.`history_end`, INTERVAL '180' DAY) AS `_since`
                FROM `t7` AS `t9`
              ) AS `t13`
              INNER JOIN `t18` AS `t20`
                ON `t13`.`everything` = `t20`.`everything` AND `t13`.`as_of` = `t20`.`as_of`
              INNER JOIN `t18` AS `t21`
                ON `t13`.`everything` = `t21`.`everything` AND `t13`.`_since` = `t21`.`as_of`
            ) AS `t22`
          ) AS `t24`
            ON `t8`.`_after` = `t24`.`_at`
        ) AS `t25`
      ) AS `t26`
    ) AS `t27`
  ) AS `t29`
  LEFT OUTER JOIN (
    SELECT
      `t0`.`collaboration_id` AS `_id`,
      `t0`.`creator_niche`,
      `t0`.`tier`,
      `t0`.`platform`
    FROM `keyed` AS `t0`
  ) AS `t5`
    ON `t29`.`collaboration_id` = `t5`.`_id`
) AS `t30`;

-- sums of creator
SELECT
  `t6`.`creator_id`,
  DATETIME_ADD(`t6`.`at`, INTERVAL '1' MICROSECOND) AS `as_of`,
  `t6`.`w` AS `creator_w`,
  `t6`.`ws` AS `creator_ws`,
  `t6`.`cw` AS `creator_cw`,
  `t6`.`cs` AS `creator_cs`
FROM (
  SELECT
    `t5`.`creator_id`,
    `t5`.`at`,
    SUM(`t5`.`w`) OVER (
      PARTITION BY `t5`.`creator_id`
      ORDER BY `t5`.`at` ASC
      RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS `w`,
    SUM(`t5`.`ws`) OVER (
      PARTITION BY `t5`.`creator_id`
      ORDER BY `t5`.`at` ASC
      RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS `ws`,
    SUM(`t5`.`cw`) OVER (
      PARTITION BY `t5`.`creator_id`
      ORDER BY `t5`.`at` ASC
      RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS `cw`,
    SUM(`t5`.`cs`) OVER (
      PARTITION BY `t5`.`creator_id`
      ORDER BY `t5`.`at` ASC
      RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS `cs`,
    `t5`.`is_key`
  FROM (
    SELECT
      *
    FROM (
      SELECT
        `t0`.`creator_id`,
        `t0`.`at`,
        `t0`.`w`,
        `t0`.`ws`,
        `t0`.`cw`,
        `t0`.`cs`,
        FALSE AS `is_key`
      FROM `events` AS `t0`
    ) AS `t2`
    UNION ALL
    SELECT
      *
    FROM (
      SELECT
        `t3`.`creator_id`,
        DATETIME_SUB(`t3`.`as_of`, INTERVAL '1' MICROSECOND) AS `at`,
        0 AS `w`,
        0 AS `ws`,
        0 AS `cw`,
        0 AS `cs`,
        TRUE AS `is_key`
      FROM (
        SELECT DISTINCT
          `t1`.`creator_id`,
          `t1`.`as_of`
        FROM `spine` AS `t1`
        WHERE
          `t1`.`creator_id` IS NOT NULL
      ) AS `t3`
    ) AS `t4`
  ) AS `t5`
) AS `t6`
WHERE
  `t6`.`is_key`;

-- sums of brand
SELECT
  `t6`.`brand`,
  DATETIME_ADD(`t6`.`at`, INTERVAL '1' MICROSECOND) AS `as_of`,
  `t6`.`w` AS `brand_w`,
  `t6`.`ws` AS `brand_ws`
FROM (
  SELECT
    `t5`.`brand`,
    `t5`.`at`,
    SUM(`t5`.`w`) OVER (
      PARTITION BY `t5`.`brand`
      ORDER BY `t5`.`at` ASC
      RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS `w`,
    SUM(`t5`.`ws`) OVER (
      PARTITION BY `t5`.`brand`
      ORDER BY `t5`.`at` ASC
      RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS `ws`,
    `t5`.`is_key`
  FROM (
    SELECT
      *
    FROM (
      SELECT
        `t0`.`brand`,
        `t0`.`at`,
        `t0`.`w`,
        `t0`.`ws`,
        FALSE AS `is_key`
      FROM `events` AS `t0`
    ) AS `t2`
    UNION ALL
    SELECT
      *
    FROM (
      SELECT
        `t3`.`brand`,
        DATETIME_SUB(`t3`.`as_of`, INTERVAL '1' MICROSECOND) AS `at`,
        0 AS `w`,
        0 AS `ws`,
        TRUE AS `is_key`
      FROM (
        SELECT DISTINCT
          `t1`.`brand`,
          `t1`.`as_of`
        FROM `spine` AS `t1`
        WHERE
          `t1`.`brand` IS NOT NULL
      ) AS `t3`
    ) AS `t4`
  ) AS `t5`
) AS `t6`
WHERE
  `t6`.`is_key`;

-- sums of pair
SELECT
  `t6`.`creator_id`,
  `t6`.`brand`,
  DATETIME_ADD(`t6`.`at`, INTERVAL '1' MICROSECOND) AS `as_of`,
  `t6`.`w` AS `pair_w`,
  `t6`.`ws` AS `pair_ws`
FROM (
  SELECT
    `t5`.`creator_id`,
    `t5`.`brand`,
    `t5`.`at`,
    SUM(`t5`.`w`) OVER (
      PARTITION BY `t5`.`creator_id`, `t5`.`brand`
      ORDER BY `t5`.`at` ASC
      RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS `w`,
    SUM(`t5`.`ws`) OVER (
      PARTITION BY `t5`.`creator_id`, `t5`.`brand`
      ORDER BY `t5`.`at` ASC
      RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS `ws`,
    `t5`.`is_key`
  FROM (
    SELECT
      *
    FROM (
      SELECT
        `t0`.`creator_id`,
        `t0`.`brand`,
        `t0`.`at`,
        `t0`.`w`,
        `t0`.`ws`,
        FALSE AS `is_key`
      FROM `events` AS `t0`
    ) AS `t2`
    UNION ALL
    SELECT
      *
    FROM (
      SELECT
        `t3`.`creator_id`,
        `t3`.`brand`,
        DATETIME_SUB(`t3`.`as_of`, INTERVAL '1' MICROSECOND) AS `at`,
        0 AS `w`,
        0 AS `ws`,
        TRUE AS `is_key`
      FROM (
        SELECT DISTINCT
          `t1`.`creator_id`,
          `t1`.`brand`,
          `t1`.`as_of`
        FROM `spine` AS `t1`
        WHERE
          (
            `t1`.`creator_id` IS NOT NULL
          ) AND (
            `t1`.`brand` IS NOT NULL
          )
      ) AS `t3`
    ) AS `t4`
  ) AS `t5`
) AS `t6`
WHERE
  `t6`.`is_key`;

-- sums of niche_pair
SELECT
  `t6`.`creator_niche`,
  `t6`.`product_niche`,
  DATETIME_ADD(`t6`.`at`, INTERVAL '1' MICROSECOND) AS `as_of`,
  `t6`.`w` AS `niche_pair_w`,
  `t6`.`ws` AS `niche_pair_ws`
FROM (
  SELECT
    `t5`.`creator_niche`,
    `t5`.`product_niche`,
    `t5`.`at`,
    SUM(`t5`.`w`) OVER (
      PARTITION BY `t5`.`creator_niche`, `t5`.`product_niche`
      ORDER BY `t5`.`at` ASC
      RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS `w`,
    SUM(`t5`.`ws`) OVER (
      PARTITION BY `t5`.`creator_niche`, `t5`.`product_niche`
      ORDER BY `t5`.`at` ASC
      RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS `ws`,
    `t5`.`is_key`
  FROM (
    SELECT
      *
    FROM (
      SELECT
        `t0`.`creator_niche`,
        `t0`.`product_niche`,
        `t0`.`at`,
        `t0`.`w`,
        `t0`.`ws`,
        FALSE AS `is_key`
      FROM `events` AS `t0`
    ) AS `t2`
    UNION ALL
    SELECT
      *
    FROM (
      SELECT
        `t3`.`creator_niche`,
        `t3`.`product_niche`,
        DATETIME_SUB(`t3`.`as_of`, INTERVAL '1' MICROSECOND) AS `at`,
        0 AS `w`,
        0 AS `ws`,
        TRUE AS `is_key`
      FROM (
        SELECT DISTINCT
          `t1`.`creator_niche`,
          `t1`.`product_niche`,
          `t1`.`as_of`
        FROM `spine` AS `t1`
        WHERE
          (
            `t1`.`creator_niche` IS NOT NULL
          ) AND (
            `t1`.`product_niche` IS NOT NULL
          )
      ) AS `t3`
    ) AS `t4`
  ) AS `t5`
) AS `t6`
WHERE
  `t6`.`is_key`;

-- sums of tier
SELECT
  `t6`.`tier`,
  DATETIME_ADD(`t6`.`at`, INTERVAL '1' MICROSECOND) AS `as_of`,
  `t6`.`w` AS `tier_w`,
  `t6`.`ws` AS `tier_ws`
FROM (
  SELECT
    `t5`.`tier`,
    `t5`.`at`,
    SUM(`t5`.`w`) OVER (
      PARTITION BY `t5`.`tier`
      ORDER BY `t5`.`at` ASC
      RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS `w`,
    SUM(`t5`.`ws`) OVER (
      PARTITION BY `t5`.`tier`
      ORDER BY `t5`.`at` ASC
      RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS `ws`,
    `t5`.`is_key`
  FROM (
    SELECT
      *
    FROM (
      SELECT
        `t0`.`tier`,
        `t0`.`at`,
        `t0`.`w`,
        `t0`.`ws`,
        FALSE AS `is_key`
      FROM `events` AS `t0`
    ) AS `t2`
    UNION ALL
    SELECT
      *
    FROM (
      SELECT
        `t3`.`tier`,
        DATETIME_SUB(`t3`.`as_of`, INTERVAL '1' MICROSECOND) AS `at`,
        0 AS `w`,
        0 AS `ws`,
        TRUE AS `is_key`
      FROM (
        SELECT DISTINCT
          `t1`.`tier`,
          `t1`.`as_of`
        FROM `spine` AS `t1`
        WHERE
          `t1`.`tier` IS NOT NULL
      ) AS `t3`
    ) AS `t4`
  ) AS `t5`
) AS `t6`
WHERE
  `t6`.`is_key`;

-- sums of platform
SELECT
  `t6`.`platform`,
  DATETIME_ADD(`t6`.`at`, INTERVAL '1' MICROSECOND) AS `as_of`,
  `t6`.`w` AS `platform_w`,
  `t6`.`ws` AS `platform_ws`
FROM (
  SELECT
    `t5`.`platform`,
    `t5`.`at`,
    SUM(`t5`.`w`) OVER (
      PARTITION BY `t5`.`platform`
      ORDER BY `t5`.`at` ASC
      RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS `w`,
    SUM(`t5`.`ws`) OVER (
      PARTITION BY `t5`.`platform`
      ORDER BY `t5`.`at` ASC
      RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS `ws`,
    `t5`.`is_key`
  FROM (
    SELECT
      *
    FROM (
      SELECT
        `t0`.`platform`,
        `t0`.`at`,
        `t0`.`w`,
        `t0`.`ws`,
        FALSE AS `is_key`
      FROM `events` AS `t0`
    ) AS `t2`
    UNION ALL
    SELECT
      *
    FROM (
      SELECT
        `t3`.`platform`,
        DATETIME_SUB(`t3`.`as_of`, INTERVAL '1' MICROSECOND) AS `at`,
        0 AS `w`,
        0 AS `ws`,
        TRUE AS `is_key`
      FROM (
        SELECT DISTINCT
          `t1`.`platform`,
          `t1`.`as_of`
        FROM `spine` AS `t1`
        WHERE
          `t1`.`platform` IS NOT NULL
      ) AS `t3`
    ) AS `t4`
  ) AS `t5`
) AS `t6`
WHERE
  `t6`.`is_key`;

-- sums of level
WITH `t2` AS (
  SELECT DISTINCT
    `t0`.`as_of`,
    `t0`.`history_end`,
    1 AS `everything`
  FROM `spine` AS `t0`
), `t13` AS (
  SELECT
    `t12`.`everything`,
    DATETIME_ADD(`t12`.`at`, INTERVAL '1' MICROSECOND) AS `as_of`,
    `t12`.`level_n`,
    `t12`.`level_sum`,
    `t12`.`click_n`,
    `t12`.`click_sum`
  FROM (
    SELECT
      `t11`.`everything`,
      `t11`.`at`,
      SUM(`t11`.`level_n`) OVER (
        PARTITION BY `t11`.`everything`
        ORDER BY `t11`.`at` ASC
        RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      ) AS `level_n`,
      SUM(`t11`.`level_sum`) OVER (
        PARTITION BY `t11`.`everything`
        ORDER BY `t11`.`at` ASC
        RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      ) AS `level_sum`,
      SUM(`t11`.`click_n`) OVER (
        PARTITION BY `t11`.`everything`
        ORDER BY `t11`.`at` ASC
        RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      ) AS `click_n`,
      SUM(`t11`.`click_sum`) OVER (
        PARTITION BY `t11`.`everything`
        ORDER BY `t11`.`at` ASC
        RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      ) AS `click_sum`,
      `t11`.`is_key`
    FROM (
      SELECT
        *
      FROM (
        SELECT
          `t1`.`everything`,
          `t1`.`at`,
          `t1`.`level_n`,
          `t1`.`level_sum`,
          `t1`.`click_n`,
          `t1`.`click_sum`,
          FALSE AS `is_key`
        FROM `market` AS `t1`
      ) AS `t3`
      UNION ALL
      SELECT
        *
      FROM (
        SELECT
          `t9`.`everything`,
          DATETIME_SUB(`t9`.`as_of`, INTERVAL '1' MICROSECOND) AS `at`,
          0 AS `level_n`,
          0 AS `level_sum`,
          0 AS `click_n`,
          0 AS `click_sum`,
          TRUE AS `is_key`
        FROM (
          SELECT
            *
          FROM (
            SELECT
              `t4`.`everything`,
              `t4`.`as_of`
            FROM `t2` AS `t4`
          ) AS `t5`
          UNION DISTINCT
          SELECT
            *
          FROM (
            SELECT
              `t4`.`everything`,
              DATETIME_SUB(`t4`.`history_end`, INTERVAL '180' DAY) AS `as_of`
            FROM `t2` AS `t4`
          ) AS `t7`
        ) AS `t9`
      ) AS `t10`
    ) AS `t11`
  ) AS `t12`
  WHERE
    `t12`.`is_key`
)
SELECT
  `t17`.`as_of`,
  ieee_divide(
    ieee_divide(CAST(`t17`.`level_sum` AS FLOAT64), 16777216),
    NULLIF(CAST(`t17`.`level_n` AS FLOAT64), 0.0)
  ) AS `level`,
  ieee_divide(
    ieee_divide(CAST(`t17`.`click_sum` AS FLOAT64), 16777216),
    NULLIF(CAST(`t17`.`click_n` AS FLOAT64), 0.0)
  ) AS `click_level`
FROM (
  SELECT
    `t8`.`everything`,
    `t8`.`as_of`,
    `t15`.`level_n` - `t16`.`level_n` AS `level_n`,
    `t15`.`level_sum` - `t16`.`level_sum` AS `level_sum`,
    `t15`.`click_n` - `t16`.`click_n` AS `click_n`,
    `t15`.`click_sum` - `t16`.`click_sum` AS `click_sum`
  FROM (
    SELECT
      `t4`.`as_of`,
      `t4`.`history_end`,
      `t4`.`everything`,
      DATETIME_SUB(`t4`.`history_end`, INTERVAL '180' DAY) AS `_since`
    FROM `t2` AS `t4`
  ) AS `t8`
  INNER JOIN `t13` AS `t15`
    ON `t8`.`everything` = `t15`.`everything` AND `t8`.`as_of` = `t15`.`as_of`
  INNER JOIN `t13` AS `t16`
    ON `t8`.`everything` = `t16`.`everything` AND `t8`.`_since` = `t16`.`as_of`
) AS `t17`;

-- finish
SELECT
  `t0`.`creator_id`,
  `t0`.`as_of`,
  EXP(`t0`.`level`) AS `market_rate`,
  EXP(
    ieee_divide(
      ieee_divide(CAST(`t0`.`creator_ws` AS FLOAT64), 16777216),
      ieee_divide(CAST(`t0`.`creator_w` AS FLOAT64), 16777216) + 1.0
    )
  ) AS `creator_record`,
  ieee_divide(CAST(`t0`.`creator_w` AS FLOAT64), 16777216) AS `creator_evidence`,
  EXP(
    ieee_divide(
      ieee_divide(CAST(`t0`.`brand_ws` AS FLOAT64), 16777216),
      ieee_divide(CAST(`t0`.`brand_w` AS FLOAT64), 16777216) + 2.0
    )
  ) AS `brand_record`,
  ieee_divide(CAST(`t0`.`brand_w` AS FLOAT64), 16777216) AS `brand_evidence`,
  EXP(
    ieee_divide(
      ieee_divide(CAST(`t0`.`pair_ws` AS FLOAT64), 16777216),
      ieee_divide(CAST(`t0`.`pair_w` AS FLOAT64), 16777216) + 1.0
    )
  ) AS `pair_record`,
  ieee_divide(CAST(`t0`.`pair_w` AS FLOAT64), 16777216) AS `pair_evidence`,
  EXP(
    ieee_divide(
      ieee_divide(CAST(`t0`.`niche_pair_ws` AS FLOAT64), 16777216),
      ieee_divide(CAST(`t0`.`niche_pair_w` AS FLOAT64), 16777216) + 5.0
    )
  ) AS `niche_pair_record`,
  ieee_divide(CAST(`t0`.`niche_pair_w` AS FLOAT64), 16777216) AS `niche_pair_evidence`,
  EXP(
    ieee_divide(
      ieee_divide(CAST(`t0`.`tier_ws` AS FLOAT64), 16777216),
      ieee_divide(CAST(`t0`.`tier_w` AS FLOAT64), 16777216) + 5.0
    )
  ) AS `tier_record`,
  ieee_divide(CAST(`t0`.`tier_w` AS FLOAT64), 16777216) AS `tier_evidence`,
  EXP(
    ieee_divide(
      ieee_divide(CAST(`t0`.`platform_ws` AS FLOAT64), 16777216),
      ieee_divide(CAST(`t0`.`platform_w` AS FLOAT64), 16777216) + 5.0
    )
  ) AS `platform_record`,
  ieee_divide(CAST(`t0`.`platform_w` AS FLOAT64), 16777216) AS `platform_evidence`,
  IF(
    `t0`.`click_level` IS NOT NULL,
    EXP(
      ieee_divide(
        ieee_divide(CAST(`t0`.`creator_cs` AS FLOAT64), 16777216),
        ieee_divide(CAST(`t0`.`creator_cw` AS FLOAT64), 16777216) + 1.0
      )
    ),
    CAST(NULL AS FLOAT64)
  ) AS `creator_click_record`
FROM `sums` AS `t0`;
