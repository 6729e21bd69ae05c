-- finish
SELECT
  "t0"."creator_id",
  "t0"."as_of",
  "t0"."promotion_hours" / NULLIF("t0"."deliverables", 0.0) AS "hours_per_deliverable",
  CAST(DATE_PART(month, "t0"."as_of") AS DOUBLE) AS "start_month",
  CAST(DAYOFWEEKISO("t0"."as_of") - 1 AS DOUBLE) AS "start_weekday",
  "t0"."spend" / NULLIF("t0"."deliverables", 0.0) AS "spend_per_deliverable",
  "t0"."spend" / NULLIF("t0"."followers", 0.0) AS "spend_per_follower",
  "t0"."spend" / NULLIF("t0"."views_per_follower" * "t0"."followers", 0.0) AS "spend_per_view",
  "t0"."spend" / NULLIF("t0"."usual_spend", 0.0) AS "spend_vs_usual"
FROM "sums" AS "t0";
