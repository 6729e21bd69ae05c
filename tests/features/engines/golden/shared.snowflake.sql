-- day
SELECT
  CAST(DATE_TRUNC('DAY', "t0"."at") AS TIMESTAMP(6)) AS "at"
FROM "days" AS "t0";

-- history_ends
WITH "t3" AS (
  SELECT DISTINCT
    "t0"."as_of",
    CAST(DATE_TRUNC('DAY', "t0"."as_of") AS TIMESTAMP(6)) AS "_day"
  FROM "moments" AS "t0"
)
SELECT
  "t5"."as_of",
  COALESCE(DATEADD(DAY, '1', "t10"."_latest"), "t5"."as_of") AS "history_end"
FROM "t3" AS "t5"
LEFT OUTER JOIN (
  SELECT
    "t8"."_day" AS "_of",
    MAX("t8"."at") AS "_latest"
  FROM (
    SELECT
      "t7"."_day",
      "t2"."at"
    FROM (
      SELECT DISTINCT
        "t4"."_day"
      FROM "t3" AS "t4"
    ) AS "t7"
    INNER JOIN "days" AS "t2"
      ON "t2"."at" < "t7"."_day"
  ) AS "t8"
  GROUP BY
    1
) AS "t10"
  ON "t5"."_day" = "t10"."_of";
