-- sponsors
SELECT
  *
FROM (
  SELECT
    `t0`.`creator_id`,
    `t0`.`brand`,
    `t0`.`starts_at` AS `at`
  FROM `collaborations` AS `t0`
) AS `t2`
UNION ALL
SELECT
  *
FROM (
  SELECT
    `t1`.`creator_id`,
    `t1`.`brand`,
    `t1`.`posted_at` AS `at`
  FROM `posts` AS `t1`
  WHERE
    `t1`.`is_sponsored` AND `t1`.`brand` IS NOT NULL
) AS `t3`;

-- from_posts
SELECT
  `t7`.`creator_id`,
  `t7`.`as_of`,
  SUM(IF(`t7`.`recent`, CAST(CAST(`t7`.`is_sponsored` AS INT64) AS INT64), NULL)) AS `sponsored_90`,
  COUNT(IF(`t7`.`recent`, CAST(CAST(`t7`.`is_sponsored` AS INT64) AS INT64), NULL)) AS `sponsored_n_90`,
  SUM(CAST(CAST(`t7`.`is_sponsored` AS INT64) AS INT64)) AS `sponsored_365`,
  COUNT(CAST(CAST(`t7`.`is_sponsored` AS INT64) AS INT64)) AS `sponsored_n_365`,
  MAX(IF(`t7`.`is_sponsored`, `t7`.`posted_at`, NULL)) AS `last_sponsored_at`
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
        `t4`.`_creator`,
        `t4`.`as_of`,
        `t4`.`history_end`,
        `t4`.`since`,
        `t4`.`_recent`
      FROM `posts` AS `t2`
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

-- from_deals
SELECT
  `t7`.`creator_id`,
  `t7`.`as_of`,
  COUNT(*) AS `creator_deals_n`,
  (
    ARRAY_AGG(`t7`.`spend` IGNORE NULLS ORDER BY `t7`.`spend`)[safe_offset(DIV(COUNT(`t7`.`spend`) - 1, 2))] + ARRAY_AGG(`t7`.`spend` IGNORE NULLS ORDER BY `t7`.`spend`)[safe_offset(DIV(COUNT(`t7`.`spend`), 2))]
  ) / 2 AS `usual_spend`,
  MAX(`t7`.`starts_at`) AS `last_deal_at`
FROM (
  SELECT
    `t6`.*
    EXCEPT (`_creator`, `_recent`)
  FROM (
    SELECT
      `t5`.`collaboration_id`,
      `t5`.`campaign_id`,
      `t5`.`creator_id`,
      `t5`.`brand`,
      `t5`.`product_niche`,
      `t5`.`product_country`,
      `t5`.`objective`,
      `t5`.`starts_at`,
      `t5`.`promotion_hours`,
      `t5`.`deliverables`,
      `t5`.`spend`,
      `t5`.`conversions`,
      `t5`.`observed_until`,
      `t5`.`clicks`,
      `t5`.`revenue`,
      `t5`.`coupon_redemptions`,
      `t5`.`_creator`,
      `t5`.`as_of`,
      `t5`.`history_end`,
      `t5`.`since`,
      `t5`.`_recent`,
      `t5`.`starts_at` >= `t5`.`_recent` AS `recent`
    FROM (
      SELECT
        `t2`.`collaboration_id`,
        `t2`.`campaign_id`,
        `t2`.`creator_id`,
        `t2`.`brand`,
        `t2`.`product_niche`,
        `t2`.`product_country`,
        `t2`.`objective`,
        `t2`.`starts_at`,
        `t2`.`promotion_hours`,
        `t2`.`deliverables`,
        `t2`.`spend`,
        `t2`.`conversions`,
        `t2`.`observed_until`,
        `t2`.`clicks`,
        `t2`.`revenue`,
        `t2`.`coupon_redemptions`,
        `t4`.`_creator`,
        `t4`.`as_of`,
        `t4`.`history_end`,
        `t4`.`since`,
        `t4`.`_recent`
      FROM `collaborations` AS `t2`
      INNER JOIN (
        SELECT
          `t1`.`creator_id` AS `_creator`,
          `t1`.`as_of`,
          `t1`.`history_end`,
          DATETIME_SUB(`t1`.`history_end`, INTERVAL '365' DAY) AS `since`,
          DATETIME_SUB(`t1`.`history_end`, INTERVAL '90' DAY) AS `_recent`
        FROM `keys` AS `t1`
      ) AS `t4`
        ON `t2`.`creator_id` = `t4`.`_creator` AND `t2`.`starts_at` < `t4`.`as_of`
    ) AS `t5`
  ) AS `t6`
) AS `t7`
GROUP BY
  1,
  2;

-- from_pair_deals
SELECT
  `t7`.`creator_id`,
  `t7`.`as_of`,
  `t7`.`brand`,
  COUNT(*) AS `pair_deals_n`,
  MIN(`t7`.`starts_at`) AS `first_pair_at`,
  MAX(`t7`.`starts_at`) AS `last_pair_at`
FROM (
  SELECT
    `t6`.*
    EXCEPT (`_creator`, `_recent`)
  FROM (
    SELECT
      `t5`.`collaboration_id`,
      `t5`.`campaign_id`,
      `t5`.`creator_id`,
      `t5`.`brand`,
      `t5`.`product_niche`,
      `t5`.`product_country`,
      `t5`.`objective`,
      `t5`.`starts_at`,
      `t5`.`promotion_hours`,
      `t5`.`deliverables`,
      `t5`.`spend`,
      `t5`.`conversions`,
      `t5`.`observed_until`,
      `t5`.`clicks`,
      `t5`.`revenue`,
      `t5`.`coupon_redemptions`,
      `t5`.`_creator`,
      `t5`.`as_of`,
      `t5`.`history_end`,
      `t5`.`since`,
      `t5`.`_recent`,
      `t5`.`starts_at` >= `t5`.`_recent` AS `recent`
    FROM (
      SELECT
        `t2`.`collaboration_id`,
        `t2`.`campaign_id`,
        `t2`.`creator_id`,
        `t2`.`brand`,
        `t2`.`product_niche`,
        `t2`.`product_country`,
        `t2`.`objective`,
        `t2`.`starts_at`,
        `t2`.`promotion_hours`,
        `t2`.`deliverables`,
        `t2`.`spend`,
        `t2`.`conversions`,
        `t2`.`observed_until`,
        `t2`.`clicks`,
        `t2`.`revenue`,
        `t2`.`coupon_redemptions`,
        `t4`.`_creator`,
        `t4`.`as_of`,
        `t4`.`history_end`,
        `t4`.`since`,
        `t4`.`_recent`
      FROM `collaborations` AS `t2`
      INNER JOIN (
        SELECT
          `t1`.`creator_id` AS `_creator`,
          `t1`.`as_of`,
          `t1`.`history_end`,
          DATETIME_SUB(`t1`.`history_end`, INTERVAL '365' DAY) AS `since`,
          DATETIME_SUB(`t1`.`history_end`, INTERVAL '90' DAY) AS `_recent`
        FROM `keys` AS `t1`
      ) AS `t4`
        ON `t2`.`creator_id` = `t4`.`_creator` AND `t2`.`starts_at` < `t4`.`as_of`
    ) AS `t5`
  ) AS `t6`
) AS `t7`
GROUP BY
  1,
  2,
  3;

-- from_sponsors
SELECT
  `t7`.`creator_id`,
  `t7`.`as_of`,
  COUNT(DISTINCT `t7`.`brand`) AS `brands_n`
FROM (
  SELECT
    `t6`.*
    EXCEPT (`_creator`, `_recent`)
  FROM (
    SELECT
      `t5`.`creator_id`,
      `t5`.`brand`,
      `t5`.`at`,
      `t5`.`_creator`,
      `t5`.`as_of`,
      `t5`.`history_end`,
      `t5`.`since`,
      `t5`.`_recent`,
      `t5`.`at` >= `t5`.`_recent` AS `recent`
    FROM (
      SELECT
        `t2`.`creator_id`,
        `t2`.`brand`,
        `t2`.`at`,
        `t4`.`_creator`,
        `t4`.`as_of`,
        `t4`.`history_end`,
        `t4`.`since`,
        `t4`.`_recent`
      FROM `sponsors` AS `t2`
      INNER JOIN (
        SELECT
          `t1`.`creator_id` AS `_creator`,
          `t1`.`as_of`,
          `t1`.`history_end`,
          DATETIME_SUB(`t1`.`history_end`, INTERVAL '90' DAY) AS `since`,
          DATETIME_SUB(`t1`.`history_end`, INTERVAL '90' DAY) AS `_recent`
        FROM `keys` AS `t1`
      ) AS `t4`
        ON `t2`.`creator_id` = `t4`.`_creator`
        AND `t2`.`at` < `t4`.`as_of`
        AND `t2`.`at` >= `t4`.`since`
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
  CAST(COALESCE(`t0`.`pair_deals_n`, 0) AS FLOAT64) AS `deals_with_brand`,
  ieee_divide(
    CAST(DATETIME_DIFF(`t0`.`as_of`, `t0`.`first_pair_at`, MICROSECOND) AS FLOAT64),
    86400000000
  ) AS `days_since_first_deal`,
  ieee_divide(
    CAST(DATETIME_DIFF(`t0`.`as_of`, `t0`.`last_pair_at`, MICROSECOND) AS FLOAT64),
    86400000000
  ) AS `days_since_deal`,
  CAST(COALESCE(`t0`.`creator_deals_n`, 0) AS FLOAT64) AS `creator_deals`,
  CAST(COALESCE(`t0`.`brand_deals_n`, 0) AS FLOAT64) AS `brand_deals`,
  CAST(COALESCE(`t0`.`brands_n`, 0) AS FLOAT64) AS `brands_90d`,
  ieee_divide(
    CAST(`t0`.`sponsored_90` AS FLOAT64),
    NULLIF(CAST(`t0`.`sponsored_n_90` AS FLOAT64), 0.0)
  ) AS `sponsored_share`,
  ieee_divide(
    CAST(`t0`.`sponsored_365` AS FLOAT64),
    NULLIF(CAST(`t0`.`sponsored_n_365` AS FLOAT64), 0.0)
  ) AS `sponsored_share_year`,
  IF(
    ieee_divide(
      CAST(DATETIME_DIFF(
        `t0`.`history_end`,
        GREATEST(
          COALESCE(`t0`.`last_deal_at`, `t0`.`last_sponsored_at`),
          COALESCE(`t0`.`last_sponsored_at`, `t0`.`last_deal_at`)
        ),
        MICROSECOND
      ) AS FLOAT64),
      86400000000
    ) IS NULL,
    ieee_divide(
      CAST(DATETIME_DIFF(
        `t0`.`history_end`,
        GREATEST(
          COALESCE(`t0`.`last_deal_at`, `t0`.`last_sponsored_at`),
          COALESCE(`t0`.`last_sponsored_at`, `t0`.`last_deal_at`)
        ),
        MICROSECOND
      ) AS FLOAT64),
      86400000000
    ),
    GREATEST(
      0.0,
      ieee_divide(
        CAST(DATETIME_DIFF(
          `t0`.`history_end`,
          GREATEST(
            COALESCE(`t0`.`last_deal_at`, `t0`.`last_sponsored_at`),
            COALESCE(`t0`.`last_sponsored_at`, `t0`.`last_deal_at`)
          ),
          MICROSECOND
        ) AS FLOAT64),
        86400000000
      )
    )
  ) AS `rest_days`
FROM `sums` AS `t0`;
