-- day
SELECT
  CAST(DATETIME_TRUNC(`t0`.`at`, DAY) AS DATETIME) AS `at`
FROM `days` AS `t0`;

-- history_ends
WITH `t3` AS (
  SELECT DISTINCT
    `t0`.`as_of`,
    CAST(DATETIME_TRUNC(`t0`.`as_of`, DAY) AS DATETIME) AS `_day`
  FROM `moments` AS `t0`
)
SELECT
  `t5`.`as_of`,
  COALESCE(DATETIME_ADD(`t10`.`_latest`, INTERVAL '1' DAY), `t5`.`as_of`) AS `history_end`
FROM `t3` AS `t5`
LEFT OUTER JOIN (
  SELECT
    `t8`.`_day` AS `_of`,
    MAX(`t8`.`at`) AS `_latest`
  FROM (
    SELECT
      `t7`.`_day`,
      `t2`.`at`
    FROM (
      SELECT DISTINCT
        `t4`.`_day`
      FROM `t3` AS `t4`
    ) AS `t7`
    INNER JOIN `days` AS `t2`
      ON `t2`.`at` < `t7`.`_day`
  ) AS `t8`
  GROUP BY
    1
) AS `t10`
  ON `t5`.`_day` = `t10`.`_of`;
