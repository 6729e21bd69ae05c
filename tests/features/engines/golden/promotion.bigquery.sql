-- finish
SELECT
  `t0`.`creator_id`,
  `t0`.`as_of`,
  ieee_divide(`t0`.`promotion_hours`, NULLIF(`t0`.`deliverables`, 0.0)) AS `hours_per_deliverable`,
  CAST(EXTRACT(month FROM `t0`.`as_of`) AS FLOAT64) AS `start_month`,
  CAST(MOD(EXTRACT(dayofweek FROM `t0`.`as_of`) + 5, 7) AS FLOAT64) AS `start_weekday`,
  ieee_divide(`t0`.`spend`, NULLIF(`t0`.`deliverables`, 0.0)) AS `spend_per_deliverable`,
  ieee_divide(`t0`.`spend`, NULLIF(`t0`.`followers`, 0.0)) AS `spend_per_follower`,
  ieee_divide(`t0`.`spend`, NULLIF(`t0`.`views_per_follower` * `t0`.`followers`, 0.0)) AS `spend_per_view`,
  ieee_divide(`t0`.`spend`, NULLIF(`t0`.`usual_spend`, 0.0)) AS `spend_vs_usual`
FROM `sums` AS `t0`;
