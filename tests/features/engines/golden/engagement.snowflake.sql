-- prepare
SELECT
  "t0"."post_id",
  "t0"."creator_id",
  "t0"."posted_at",
  "t0"."followers",
  "t0"."views",
  "t0"."likes",
  "t0"."comments",
  "t0"."shares",
  "t0"."saves",
  "t0"."is_sponsored",
  "t0"."brand",
  "t0"."niche",
  "t0"."caption",
  "t0"."seq",
  "t0"."likes" + "t0"."comments" AS "engaged",
  IFF(
    (
      CAST("t0"."likes" + "t0"."comments" AS DOUBLE) / NULLIF(CAST("t0"."followers" AS DOUBLE), 0.0)
    ) IS NULL,
    CAST("t0"."likes" + "t0"."comments" AS DOUBLE) / NULLIF(CAST("t0"."followers" AS DOUBLE), 0.0),
    LEAST(
      100.0,
      CAST("t0"."likes" + "t0"."comments" AS DOUBLE) / NULLIF(CAST("t0"."followers" AS DOUBLE), 0.0)
    )
  ) AS "rate",
  IFF(
    (
      CAST("t0"."likes" + "t0"."comments" AS DOUBLE) / NULLIF(CAST("t0"."views" AS DOUBLE), 0.0)
    ) IS NULL,
    CAST("t0"."likes" + "t0"."comments" AS DOUBLE) / NULLIF(CAST("t0"."views" AS DOUBLE), 0.0),
    LEAST(
      100.0,
      CAST("t0"."likes" + "t0"."comments" AS DOUBLE) / NULLIF(CAST("t0"."views" AS DOUBLE), 0.0)
    )
  ) AS "per_view",
  CAST(ROUND(
    IFF(
      (
        CAST("t0"."likes" + "t0"."comments" AS DOUBLE) / NULLIF(CAST("t0"."followers" AS DOUBLE), 0.0)
      ) IS NULL,
      CAST("t0"."likes" + "t0"."comments" AS DOUBLE) / NULLIF(CAST("t0"."followers" AS DOUBLE), 0.0),
      LEAST(
        100.0,
        CAST("t0"."likes" + "t0"."comments" AS DOUBLE) / NULLIF(CAST("t0"."followers" AS DOUBLE), 0.0)
      )
    ) * 16777216,
    0
  ) AS BIGINT) AS "rate_fixed",
  CAST(ROUND(
    IFF(
      (
        CAST("t0"."likes" + "t0"."comments" AS DOUBLE) / NULLIF(CAST("t0"."views" AS DOUBLE), 0.0)
      ) IS NULL,
      CAST("t0"."likes" + "t0"."comments" AS DOUBLE) / NULLIF(CAST("t0"."views" AS DOUBLE), 0.0),
      LEAST(
        100.0,
        CAST("t0"."likes" + "t0"."comments" AS DOUBLE) / NULLIF(CAST("t0"."views" AS DOUBLE), 0.0)
      )
    ) * 16777216,
    0
  ) AS BIGINT) AS "per_view_fixed",
  CAST(ROUND(
    LN(
      IFF(
        (
          CAST("t0"."likes" + "t0"."comments" AS DOUBLE) / NULLIF(CAST("t0"."followers" AS DOUBLE), 0.0)
        ) IS NULL,
        CAST("t0"."likes" + "t0"."comments" AS DOUBLE) / NULLIF(CAST("t0"."followers" AS DOUBLE), 0.0),
        LEAST(
          100.0,
          CAST("t0"."likes" + "t0"."comments" AS DOUBLE) / NULLIF(CAST("t0"."followers" AS DOUBLE), 0.0)
        )
      ) + 1e-06
    ) * 65536,
    0
  ) AS BIGINT) AS "log_coarse",
  CAST(DATEDIFF(
    MICROSECOND,
    LAG("t0"."posted_at", 1) OVER (PARTITION BY "t0"."creator_id" ORDER BY "t0"."seq" ASC),
    "t0"."posted_at"
  ) AS DOUBLE) / 86400000000 AS "gap",
  CAST(ROUND(
    (
      CAST(DATEDIFF(
        MICROSECOND,
        LAG("t0"."posted_at", 1) OVER (PARTITION BY "t0"."creator_id" ORDER BY "t0"."seq" ASC),
        "t0"."posted_at"
      ) AS DOUBLE) / 86400000000
    ) * 65536,
    0
  ) AS BIGINT) AS "gap_coarse"
FROM "numbered_posts" AS "t0";

-- from_posts
SELECT
  "t7"."creator_id",
  "t7"."as_of",
  MEDIAN(IFF("t7"."recent", "t7"."rate", NULL)) AS "engagement_rate_median",
  MEDIAN("t7"."rate") AS "engagement_rate_year",
  MEDIAN(IFF("t7"."recent", "t7"."per_view", NULL)) AS "engagement_per_view_median",
  SUM(IFF("t7"."recent", "t7"."rate_fixed", NULL)) AS "rate_sum",
  COUNT(IFF("t7"."recent", "t7"."rate_fixed", NULL)) AS "rate_n",
  SUM(IFF("t7"."recent", "t7"."per_view_fixed", NULL)) AS "per_view_sum",
  COUNT(IFF("t7"."recent", "t7"."per_view_fixed", NULL)) AS "per_view_n",
  SUM("t7"."log_coarse") AS "log_sum",
  SUM("t7"."log_coarse" * "t7"."log_coarse") AS "log2_sum",
  COUNT("t7"."log_coarse") AS "log_n",
  SUM(IFF("t7"."recent" AND (
    "t7"."comments" IS NOT NULL
  ), "t7"."likes", NULL)) AS "likes_90",
  SUM(IFF("t7"."recent" AND (
    "t7"."likes" IS NOT NULL
  ), "t7"."comments", NULL)) AS "comments_90",
  SUM(IFF("t7"."comments" IS NOT NULL, "t7"."likes", NULL)) AS "likes_365",
  SUM(IFF("t7"."likes" IS NOT NULL, "t7"."comments", NULL)) AS "comments_365",
  SUM(IFF("t7"."recent" AND (
    "t7"."likes" IS NOT NULL
  ), "t7"."saves", NULL)) AS "saves_90",
  SUM(IFF("t7"."recent" AND (
    "t7"."saves" IS NOT NULL
  ), "t7"."likes", NULL)) AS "save_likes_90",
  SUM(IFF("t7"."likes" IS NOT NULL, "t7"."saves", NULL)) AS "saves_365",
  SUM(IFF("t7"."saves" IS NOT NULL, "t7"."likes", NULL)) AS "save_likes_365",
  SUM(IFF("t7"."recent" AND (
    "t7"."likes" IS NOT NULL
  ), "t7"."shares", NULL)) AS "shares_90",
  SUM(IFF("t7"."recent" AND (
    "t7"."shares" IS NOT NULL
  ), "t7"."likes", NULL)) AS "share_likes_90",
  SUM(IFF("t7"."likes" IS NOT NULL, "t7"."shares", NULL)) AS "shares_365",
  SUM(IFF("t7"."shares" IS NOT NULL, "t7"."likes", NULL)) AS "share_likes_365",
  SUM(IFF((
    "t7"."rate" IS NOT NULL
  ) AND "t7"."is_sponsored", "t7"."engaged", NULL)) AS "engaged_sponsored",
  SUM(
    IFF((
      "t7"."rate" IS NOT NULL
    ) AND "t7"."is_sponsored", "t7"."followers", NULL)
  ) AS "followers_sponsored",
  SUM(
    IFF(
      (
        "t7"."rate" IS NOT NULL
      ) AND NOT (
        "t7"."is_sponsored"
      ),
      "t7"."engaged",
      NULL
    )
  ) AS "engaged_organic",
  SUM(
    IFF(
      (
        "t7"."rate" IS NOT NULL
      ) AND NOT (
        "t7"."is_sponsored"
      ),
      "t7"."followers",
      NULL
    )
  ) AS "followers_organic",
  SUM(IFF((
    "t7"."rate" IS NOT NULL
  ) AND "t7"."recent", "t7"."engaged", NULL)) AS "engaged_90",
  SUM(IFF((
    "t7"."rate" IS NOT NULL
  ) AND "t7"."recent", "t7"."followers", NULL)) AS "followers_90",
  SUM(IFF("t7"."rate" IS NOT NULL, "t7"."engaged", NULL)) AS "engaged_365",
  SUM(IFF("t7"."rate" IS NOT NULL, "t7"."followers", NULL)) AS "followers_365",
  COUNT_IF("t7"."recent") AS "posts_90",
  MEDIAN("t7"."gap") AS "posting_gap_days",
  SUM("t7"."gap_coarse") AS "gap_sum",
  SUM("t7"."gap_coarse" * "t7"."gap_coarse") AS "gap2_sum",
  COUNT("t7"."gap_coarse") AS "gap_n",
  MAX("t7"."posted_at") AS "last_post_at"
FROM (
  SELECT
    "t6".*
    EXCLUDE ("_creator", "_recent")
  FROM (
    SELECT
      "t5"."post_id",
      "t5"."creator_id",
      "t5"."posted_at",
      "t5"."followers",
      "t5"."views",
      "t5"."likes",
      "t5"."comments",
      "t5"."shares",
      "t5"."saves",
      "t5"."is_sponsored",
      "t5"."brand",
      "t5"."niche",
      "t5"."caption",
      "t5"."seq",
      "t5"."engaged",
      "t5"."rate",
      "t5"."per_view",
      "t5"."rate_fixed",
      "t5"."per_view_fixed",
      "t5"."log_coarse",
      "t5"."gap",
      "t5"."gap_coarse",
      "t5"."_creator",
      "t5"."as_of",
      "t5"."history_end",
      "t5"."since",
      "t5"."_recent",
      "t5"."posted_at" >= "t5"."_recent" AS "recent"
    FROM (
      SELECT
        "t2"."post_id",
        "t2"."creator_id",
        "t2"."posted_at",
        "t2"."followers",
        "t2"."views",
        "t2"."likes",
        "t2"."comments",
        "t2"."shares",
        "t2"."saves",
        "t2"."is_sponsored",
        "t2"."brand",
        "t2"."niche",
        "t2"."caption",
        "t2"."seq",
        "t2"."engaged",
        "t2"."rate",
        "t2"."per_view",
        "t2"."rate_fixed",
        "t2"."per_view_fixed",
        "t2"."log_coarse",
        "t2"."gap",
        "t2"."gap_coarse",
        "t4"."_creator",
        "t4"."as_of",
        "t4"."history_end",
        "t4"."since",
        "t4"."_recent"
      FROM "prepared_posts" AS "t2"
      INNER JOIN (
        SELECT
          "t1"."creator_id" AS "_creator",
          "t1"."as_of",
          "t1"."history_end",
          DATEADD(DAY, -'365', "t1"."history_end") AS "since",
          DATEADD(DAY, -'90', "t1"."history_end") AS "_recent"
        FROM "keys" AS "t1"
      ) AS "t4"
        ON "t2"."creator_id" = "t4"."_creator"
        AND "t2"."posted_at" < "t4"."as_of"
        AND "t2"."posted_at" >= "t4"."since"
    ) AS "t5"
  ) AS "t6"
) AS "t7"
GROUP BY
  1,
  2;

-- finish
SELECT
  "t0"."creator_id",
  "t0"."as_of",
  (
    CAST("t0"."rate_sum" AS DOUBLE) / 16777216
  ) / NULLIF(CAST("t0"."rate_n" AS DOUBLE), 0.0) AS "engagement_rate_mean",
  (
    CAST("t0"."per_view_sum" AS DOUBLE) / 16777216
  ) / NULLIF(CAST("t0"."per_view_n" AS DOUBLE), 0.0) AS "engagement_per_view_mean",
  IFF(
    "t0"."log_n" >= 2,
    SQRT(
      IFF(
        (
          (
            CAST("t0"."log2_sum" AS DOUBLE) / NULLIF(CAST("t0"."log_n" AS DOUBLE), 0.0)
          ) - (
            (
              CAST("t0"."log_sum" AS DOUBLE) / NULLIF(CAST("t0"."log_n" AS DOUBLE), 0.0)
            ) * (
              CAST("t0"."log_sum" AS DOUBLE) / NULLIF(CAST("t0"."log_n" AS DOUBLE), 0.0)
            )
          )
        ) IS NULL,
        (
          CAST("t0"."log2_sum" AS DOUBLE) / NULLIF(CAST("t0"."log_n" AS DOUBLE), 0.0)
        ) - (
          (
            CAST("t0"."log_sum" AS DOUBLE) / NULLIF(CAST("t0"."log_n" AS DOUBLE), 0.0)
          ) * (
            CAST("t0"."log_sum" AS DOUBLE) / NULLIF(CAST("t0"."log_n" AS DOUBLE), 0.0)
          )
        ),
        GREATEST(
          0.0,
          (
            CAST("t0"."log2_sum" AS DOUBLE) / NULLIF(CAST("t0"."log_n" AS DOUBLE), 0.0)
          ) - (
            (
              CAST("t0"."log_sum" AS DOUBLE) / NULLIF(CAST("t0"."log_n" AS DOUBLE), 0.0)
            ) * (
              CAST("t0"."log_sum" AS DOUBLE) / NULLIF(CAST("t0"."log_n" AS DOUBLE), 0.0)
            )
          )
        )
      )
    ) / 65536,
    CAST(NULL AS DOUBLE)
  ) AS "engagement_spread",
  CAST("t0"."comments_90" AS DOUBLE) / NULLIF(CAST("t0"."likes_90" AS DOUBLE), 0.0) AS "comments_per_like",
  CAST("t0"."comments_365" AS DOUBLE) / NULLIF(CAST("t0"."likes_365" AS DOUBLE), 0.0) AS "comments_per_like_year",
  CAST("t0"."saves_90" AS DOUBLE) / NULLIF(CAST("t0"."save_likes_90" AS DOUBLE), 0.0) AS "saves_per_like",
  CAST("t0"."saves_365" AS DOUBLE) / NULLIF(CAST("t0"."save_likes_365" AS DOUBLE), 0.0) AS "saves_per_like_year",
  CAST("t0"."shares_90" AS DOUBLE) / NULLIF(CAST("t0"."share_likes_90" AS DOUBLE), 0.0) AS "shares_per_like",
  CAST("t0"."shares_365" AS DOUBLE) / NULLIF(CAST("t0"."share_likes_365" AS DOUBLE), 0.0) AS "shares_per_like_year",
  (
    CAST("t0"."engaged_sponsored" AS DOUBLE) / NULLIF(CAST("t0"."followers_sponsored" AS DOUBLE), 0.0)
  ) / NULLIF(
    CAST("t0"."engaged_organic" AS DOUBLE) / NULLIF(CAST("t0"."followers_organic" AS DOUBLE), 0.0),
    0.0
  ) AS "engagement_sponsored_ratio",
  (
    CAST("t0"."engaged_90" AS DOUBLE) / NULLIF(CAST("t0"."followers_90" AS DOUBLE), 0.0)
  ) / NULLIF(
    CAST("t0"."engaged_365" AS DOUBLE) / NULLIF(CAST("t0"."followers_365" AS DOUBLE), 0.0),
    0.0
  ) AS "engagement_trend",
  CAST("t0"."posts_90" AS DOUBLE) AS "posts_90d",
  IFF(
    "t0"."gap_n" >= 2,
    SQRT(
      IFF(
        (
          (
            CAST("t0"."gap2_sum" AS DOUBLE) / NULLIF(CAST("t0"."gap_n" AS DOUBLE), 0.0)
          ) - (
            (
              CAST("t0"."gap_sum" AS DOUBLE) / NULLIF(CAST("t0"."gap_n" AS DOUBLE), 0.0)
            ) * (
              CAST("t0"."gap_sum" AS DOUBLE) / NULLIF(CAST("t0"."gap_n" AS DOUBLE), 0.0)
            )
          )
        ) IS NULL,
        (
          CAST("t0"."gap2_sum" AS DOUBLE) / NULLIF(CAST("t0"."gap_n" AS DOUBLE), 0.0)
        ) - (
          (
            CAST("t0"."gap_sum" AS DOUBLE) / NULLIF(CAST("t0"."gap_n" AS DOUBLE), 0.0)
          ) * (
            CAST("t0"."gap_sum" AS DOUBLE) / NULLIF(CAST("t0"."gap_n" AS DOUBLE), 0.0)
          )
        ),
        GREATEST(
          0.0,
          (
            CAST("t0"."gap2_sum" AS DOUBLE) / NULLIF(CAST("t0"."gap_n" AS DOUBLE), 0.0)
          ) - (
            (
              CAST("t0"."gap_sum" AS DOUBLE) / NULLIF(CAST("t0"."gap_n" AS DOUBLE), 0.0)
            ) * (
              CAST("t0"."gap_sum" AS DOUBLE) / NULLIF(CAST("t0"."gap_n" AS DOUBLE), 0.0)
            )
          )
        )
      )
    ) / 65536,
    CAST(NULL AS DOUBLE)
  ) / NULLIF(
    (
      CAST("t0"."gap_sum" AS DOUBLE) / NULLIF(CAST("t0"."gap_n" AS DOUBLE), 0.0)
    ) / 65536,
    0.0
  ) AS "posting_irregularity",
  IFF(
    (
      CAST(DATEDIFF(MICROSECOND, "t0"."last_post_at", "t0"."history_end") AS DOUBLE) / 86400000000
    ) IS NULL,
    CAST(DATEDIFF(MICROSECOND, "t0"."last_post_at", "t0"."history_end") AS DOUBLE) / 86400000000,
    GREATEST(
      0.0,
      CAST(DATEDIFF(MICROSECOND, "t0"."last_post_at", "t0"."history_end") AS DOUBLE) / 86400000000
    )
  ) AS "days_since_post"
FROM "sums" AS "t0";
