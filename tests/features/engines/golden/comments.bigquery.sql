-- prepare
WITH `t13` AS (
  SELECT
    `t12`.`comment_id`,
    `t12`.`post_id`,
    `t12`.`creator_id`,
    `t12`.`commented_at`,
    `t12`.`author_id`,
    `t12`.`text`,
    `t12`.`by_creator`,
    `t12`.`_post`,
    `t12`.`_owner`,
    `t12`.`fan`,
    `t6`.`text_id`,
    `t6`.`_text`
  FROM (
    SELECT
      `t10`.`comment_id`,
      `t10`.`post_id`,
      COALESCE(`t10`.`creator_id`, `t10`.`_owner`) AS `creator_id`,
      `t10`.`commented_at`,
      `t10`.`author_id`,
      `t10`.`text`,
      `t10`.`by_creator`,
      `t10`.`_post`,
      `t10`.`_owner`,
      NOT (
        COALESCE(`t10`.`by_creator`, FALSE)
      ) AS `fan`
    FROM (
      SELECT
        `t3`.`comment_id`,
        `t3`.`post_id`,
        `t3`.`creator_id`,
        `t3`.`commented_at`,
        `t3`.`author_id`,
        `t3`.`text`,
        `t3`.`by_creator`,
        `t7`.`_post`,
        `t7`.`_owner`
      FROM `comments` AS `t3`
      LEFT OUTER JOIN (
        SELECT
          `t2`.`post_id` AS `_post`,
          `t2`.`creator_id` AS `_owner`
        FROM `posts` AS `t2`
      ) AS `t7`
        ON `t3`.`post_id` = `t7`.`_post`
    ) AS `t10`
    WHERE
      COALESCE(`t10`.`creator_id`, `t10`.`_owner`) IS NOT NULL
  ) AS `t12`
  INNER JOIN (
    SELECT
      `t0`.`text_id`,
      `t0`.`text` AS `_text`
    FROM `texts` AS `t0`
  ) AS `t6`
    ON `t12`.`text` = `t6`.`_text`
)
SELECT
  `t29`.*
  EXCEPT (`_text_id`, `text_id`)
FROM (
  SELECT
    `t28`.`creator_id`,
    `t28`.`commented_at`,
    `t28`.`by_creator`,
    `t28`.`fan`,
    `t28`.`text_id`,
    `t28`.`author_at`,
    `t28`.`text_at`,
    `t28`.`authored`,
    `t28`.`elsewhere`,
    `t28`.`reply_hours`,
    `t28`.`copied`,
    `t9`.`_text_id`,
    `t9`.`words`,
    `t9`.`spam`,
    `t9`.`emoji_only`,
    `t9`.`mention_only`,
    `t9`.`hollow`,
    `t9`.`substance`,
    `t9`.`question`,
    `t9`.`buying_intent`
  FROM (
    SELECT
      `t26`.*
      EXCEPT (`_first_at`, `_first_creator`, `_id`, `_second_at`)
    FROM (
      SELECT
        `t25`.`creator_id`,
        `t25`.`commented_at`,
        `t25`.`by_creator`,
        `t25`.`fan`,
        `t25`.`text_id`,
        `t25`.`author_at`,
        `t25`.`text_at`,
        `t25`.`authored`,
        `t25`.`elsewhere`,
        `t25`.`reply_hours`,
        `t25`.`_id`,
        `t25`.`_first_at`,
        `t25`.`_first_creator`,
        `t25`.`_second_at`,
        COALESCE(
          IF(`t25`.`creator_id` = `t25`.`_first_creator`, `t25`.`_second_at`, `t25`.`_first_at`) < `t25`.`commented_at`,
          FALSE
        ) AS `copied`
      FROM (
        SELECT
          `t22`.`creator_id`,
          `t22`.`commented_at`,
          `t22`.`by_creator`,
          `t22`.`fan`,
          `t22`.`text_id`,
          `t22`.`author_at`,
          `t22`.`text_at`,
          `t22`.`authored`,
          `t22`.`elsewhere`,
          `t22`.`reply_hours`,
          `t24`.`_id`,
          `t24`.`_first_at`,
          `t24`.`_first_creator`,
          `t24`.`_second_at`
        FROM (
          SELECT
            `t18`.`creator_id`,
            `t18`.`commented_at`,
            `t18`.`by_creator`,
            `t18`.`fan`,
            `t18`.`text_id`,
            `t18`.`author_at`,
            `t18`.`text_at`,
            `t18`.`author_id` IS NOT NULL AS `authored`,
            `t18`.`author_post` <> `t18`.`post_id` AS `elsewhere`,
            IF(
              `t18`.`fan`,
              CAST(NULL AS FLOAT64),
              ieee_divide(
                CAST(DATETIME_DIFF(`t18`.`commented_at`, `t18`.`fan_before`, MICROSECOND) AS FLOAT64),
                86400000000
              ) * 24.0
            ) AS `reply_hours`
          FROM (
            SELECT
              `t15`.`comment_id`,
              `t15`.`post_id`,
              `t15`.`creator_id`,
              `t15`.`commented_at`,
              `t15`.`author_id`,
              `t15`.`by_creator`,
              `t15`.`fan`,
              `t15`.`text_id`,
              LAG(`t15`.`commented_at`, 1) OVER (
                PARTITION BY `t15`.`creator_id`, `t15`.`fan`, `t15`.`author_id`
                ORDER BY `t15`.`commented_at` ASC, `t15`.`comment_id` ASC
              ) AS `author_at`,
              LAG(`t15`.`post_id`, 1) OVER (
                PARTITION BY `t15`.`creator_id`, `t15`.`fan`, `t15`.`author_id`
                ORDER BY `t15`.`commented_at` ASC, `t15`.`comment_id` ASC
              ) AS `author_post`,
              LAG(`t15`.`commented_at`, 1) OVER (
                PARTITION BY `t15`.`creator_id`, `t15`.`fan`, `t15`.`text_id`
                ORDER BY `t15`.`commented_at` ASC, `t15`.`comment_id` ASC
              ) AS `text_at`,
              MAX(IF(`t15`.`fan`, `t15`.`commented_at`, CAST(NULL AS DATETIME))) OVER (
                PARTITION BY `t15`.`post_id`
                ORDER BY `t15`.`commented_at` ASC, `t15`.`comment_id` ASC
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
              ) AS `fan_before`
            FROM (
              SELECT
                `t14`.`comment_id`,
                `t14`.`post_id`,
                `t14`.`creator_id`,
                `t14`.`commented_at`,
                `t14`.`author_id`,
                `t14`.`by_creator`,
                `t14`.`fan`,
                `t14`.`text_id`
              FROM `t13` AS `t14`
            ) AS `t15`
          ) AS `t18`
        ) AS `t22`
        LEFT OUTER JOIN (
          SELECT
            `t20`.`text_id` AS `_id`,
            MAX(IF(`t20`.`place` = 0, `t20`.`at`, NULL)) AS `_first_at`,
            MAX(IF(`t20`.`place` = 0, `t20`.`creator_id`, NULL)) AS `_first_creator`,
            MAX(IF(`t20`.`place` = 1, `t20`.`at`, NULL)) AS `_second_at`
          FROM (
            SELECT
              *
            FROM (
              SELECT
                `t17`.`text_id`,
                `t17`.`creator_id`,
                `t17`.`at`,
                ROW_NUMBER() OVER (PARTITION BY `t17`.`text_id` ORDER BY `t17`.`at` ASC, `t17`.`creator_id` ASC) - 1 AS `place`
              FROM (
                SELECT
                  `t16`.`text_id`,
                  `t16`.`creator_id`,
                  MIN(`t16`.`commented_at`) AS `at`
                FROM (
                  SELECT
                    `t14`.`comment_id`,
                    `t14`.`post_id`,
                    `t14`.`creator_id`,
                    `t14`.`commented_at`,
                    `t14`.`author_id`,
                    `t14`.`by_creator`,
                    `t14`.`fan`,
                    `t14`.`text_id`
                  FROM `t13` AS `t14`
                  WHERE
                    `t14`.`fan`
                ) AS `t16`
                GROUP BY
                  1,
                  2
              ) AS `t17`
            ) AS `t19`
            WHERE
              `t19`.`place` < 2
          ) AS `t20`
          GROUP BY
            1
        ) AS `t24`
          ON `t22`.`text_id` = `t24`.`_id`
      ) AS `t25`
    ) AS `t26`
  ) AS `t28`
  INNER JOIN (
    SELECT
      `t0`.`text_id` AS `_text_id`,
      `t0`.`words`,
      CAST(CAST(ROUND(CAST(`t0`.`spam` AS FLOAT64) * 16777216, 0) AS INT64) AS INT64) AS `spam`,
      CAST(CAST(ROUND(CAST(`t0`.`emoji_only` AS FLOAT64) * 16777216, 0) AS INT64) AS INT64) AS `emoji_only`,
      CAST(CAST(ROUND(CAST(`t0`.`mention_only` AS FLOAT64) * 16777216, 0) AS INT64) AS INT64) AS `mention_only`,
      CAST(CAST(ROUND(CAST(`t0`.`hollow` AS FLOAT64) * 16777216, 0) AS INT64) AS INT64) AS `hollow`,
      CAST(CAST(ROUND(CAST(`t0`.`substance` AS FLOAT64) * 16777216, 0) AS INT64) AS INT64) AS `substance`,
      CAST(CAST(ROUND(CAST(`t0`.`question` AS FLOAT64) * 16777216, 0) AS INT64) AS INT64) AS `question`,
      CAST(CAST(ROUND(CAST(`t0`.`buying_intent` AS FLOAT64) * 16777216, 0) AS INT64) AS INT64) AS `buying_intent`
    FROM `texts` AS `t0`
  ) AS `t9`
    ON `t28`.`text_id` = `t9`.`_text_id`
) AS `t29`;

-- from_comments
SELECT
  `t7`.`creator_id`,
  `t7`.`as_of`,
  COUNTIF(`t7`.`fan`) AS `fan_n`,
  SUM(CAST(`t7`.`by_creator` AS INT64)) AS `reply_n`,
  SUM(IF(`t7`.`fan`, `t7`.`spam`, NULL)) AS `spam_sum`,
  SUM(IF(`t7`.`fan`, `t7`.`emoji_only`, NULL)) AS `emoji_only_sum`,
  SUM(IF(`t7`.`fan`, `t7`.`mention_only`, NULL)) AS `mention_only_sum`,
  SUM(IF(`t7`.`fan`, `t7`.`hollow`, NULL)) AS `hollow_sum`,
  SUM(IF(`t7`.`fan`, `t7`.`substance`, NULL)) AS `substance_sum`,
  SUM(IF(`t7`.`fan`, `t7`.`question`, NULL)) AS `question_sum`,
  SUM(IF(`t7`.`fan`, `t7`.`buying_intent`, NULL)) AS `buying_intent_sum`,
  COUNTIF(`t7`.`fan` AND COALESCE(`t7`.`text_at` >= `t7`.`since`, FALSE)) AS `repeated_n`,
  COUNTIF(`t7`.`fan` AND `t7`.`copied`) AS `copied_n`,
  COUNTIF(`t7`.`fan` AND `t7`.`authored`) AS `authored_n`,
  COUNTIF(
    `t7`.`fan`
    AND `t7`.`authored`
    AND NOT (
      COALESCE(`t7`.`author_at` >= `t7`.`since`, FALSE)
    )
  ) AS `authors_n`,
  COUNTIF(
    `t7`.`fan`
    AND `t7`.`authored`
    AND COALESCE(`t7`.`author_at` >= `t7`.`since`, FALSE)
    AND `t7`.`elsewhere`
  ) AS `returning_n`,
  SUM(IF(`t7`.`fan`, `t7`.`words`, NULL)) AS `words_sum`,
  COUNTIF(`t7`.`fan` AND (
    `t7`.`words` >= 8
  )) AS `long_n`,
  (
    ARRAY_AGG(`t7`.`reply_hours` IGNORE NULLS ORDER BY `t7`.`reply_hours`)[safe_offset(DIV(COUNT(`t7`.`reply_hours`) - 1, 2))] + ARRAY_AGG(`t7`.`reply_hours` IGNORE NULLS ORDER BY `t7`.`reply_hours`)[safe_offset(DIV(COUNT(`t7`.`reply_hours`), 2))]
  ) / 2 AS `reply_hours`
FROM (
  SELECT
    `t6`.*
    EXCEPT (`_creator`, `_recent`)
  FROM (
    SELECT
      `t5`.`creator_id`,
      `t5`.`commented_at`,
      `t5`.`by_creator`,
      `t5`.`fan`,
      `t5`.`author_at`,
      `t5`.`text_at`,
      `t5`.`authored`,
      `t5`.`elsewhere`,
      `t5`.`reply_hours`,
      `t5`.`copied`,
      `t5`.`words`,
      `t5`.`spam`,
      `t5`.`emoji_only`,
      `t5`.`mention_only`,
      `t5`.`hollow`,
      `t5`.`substance`,
      `t5`.`question`,
      `t5`.`buying_intent`,
      `t5`.`_creator`,
      `t5`.`as_of`,
      `t5`.`history_end`,
      `t5`.`since`,
      `t5`.`_recent`,
      `t5`.`commented_at` >= `t5`.`_recent` AS `recent`
    FROM (
      SELECT
        `t2`.`creator_id`,
        `t2`.`commented_at`,
        `t2`.`by_creator`,
        `t2`.`fan`,
        `t2`.`author_at`,
        `t2`.`text_at`,
        `t2`.`authored`,
        `t2`.`elsewhere`,
        `t2`.`reply_hours`,
        `t2`.`copied`,
        `t2`.`words`,
        `t2`.`spam`,
        `t2`.`emoji_only`,
        `t2`.`mention_only`,
        `t2`.`hollow`,
        `t2`.`substance`,
        `t2`.`question`,
        `t2`.`buying_intent`,
        `t4`.`_creator`,
        `t4`.`as_of`,
        `t4`.`history_end`,
        `t4`.`since`,
        `t4`.`_recent`
      FROM `prepared_comments` AS `t2`
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
        AND `t2`.`commented_at` < `t4`.`as_of`
        AND `t2`.`commented_at` >= `t4`.`since`
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
  CAST(NULLIF(`t0`.`fan_n`, 0) AS FLOAT64) AS `comments_seen`,
  ieee_divide(
    ieee_divide(CAST(`t0`.`spam_sum` AS FLOAT64), 16777216) + 0.25,
    CAST(NULLIF(`t0`.`fan_n`, 0) AS FLOAT64) + 5.0
  ) AS `spam_share`,
  ieee_divide(
    ieee_divide(CAST(`t0`.`emoji_only_sum` AS FLOAT64), 16777216) + 0.75,
    CAST(NULLIF(`t0`.`fan_n`, 0) AS FLOAT64) + 5.0
  ) AS `emoji_only_share`,
  ieee_divide(
    ieee_divide(CAST(`t0`.`mention_only_sum` AS FLOAT64), 16777216) + 0.25,
    CAST(NULLIF(`t0`.`fan_n`, 0) AS FLOAT64) + 5.0
  ) AS `mention_only_share`,
  ieee_divide(
    ieee_divide(CAST(`t0`.`hollow_sum` AS FLOAT64), 16777216) + 1.75,
    CAST(NULLIF(`t0`.`fan_n`, 0) AS FLOAT64) + 5.0
  ) AS `hollow_share`,
  ieee_divide(
    ieee_divide(CAST(`t0`.`substance_sum` AS FLOAT64), 16777216) + 1.25,
    CAST(NULLIF(`t0`.`fan_n`, 0) AS FLOAT64) + 5.0
  ) AS `substance_share`,
  ieee_divide(
    ieee_divide(CAST(`t0`.`question_sum` AS FLOAT64), 16777216) + 0.75,
    CAST(NULLIF(`t0`.`fan_n`, 0) AS FLOAT64) + 5.0
  ) AS `question_share`,
  ieee_divide(
    ieee_divide(CAST(`t0`.`buying_intent_sum` AS FLOAT64), 16777216) + 0.25,
    CAST(NULLIF(`t0`.`fan_n`, 0) AS FLOAT64) + 5.0
  ) AS `buying_intent_share`,
  ieee_divide(
    CAST(`t0`.`repeated_n` AS FLOAT64),
    NULLIF(CAST(NULLIF(`t0`.`fan_n`, 0) AS FLOAT64), 0.0)
  ) AS `repeated_share`,
  ieee_divide(
    CAST(`t0`.`copied_n` AS FLOAT64),
    NULLIF(CAST(NULLIF(`t0`.`fan_n`, 0) AS FLOAT64), 0.0)
  ) AS `copied_share`,
  ieee_divide(CAST(`t0`.`authors_n` AS FLOAT64), NULLIF(CAST(`t0`.`authored_n` AS FLOAT64), 0.0)) AS `distinct_authors_share`,
  ieee_divide(
    CAST(`t0`.`returning_n` AS FLOAT64),
    NULLIF(CAST(`t0`.`authored_n` AS FLOAT64), 0.0)
  ) AS `returning_share`,
  ieee_divide(
    CAST(`t0`.`reply_n` AS FLOAT64),
    NULLIF(CAST(NULLIF(`t0`.`fan_n`, 0) AS FLOAT64), 0.0)
  ) AS `replies_per_comment`,
  ieee_divide(
    CAST(`t0`.`words_sum` AS FLOAT64),
    NULLIF(CAST(NULLIF(`t0`.`fan_n`, 0) AS FLOAT64), 0.0)
  ) AS `comment_words`,
  ieee_divide(
    CAST(`t0`.`long_n` AS FLOAT64),
    NULLIF(CAST(NULLIF(`t0`.`fan_n`, 0) AS FLOAT64), 0.0)
  ) AS `long_comment_share`
FROM `sums` AS `t0`;
