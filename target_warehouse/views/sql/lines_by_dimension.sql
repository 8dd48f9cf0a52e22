-- What was booked on which department, project or other dimension?
--
-- Sums of the lines of booked invoices, in currency; credit notes are negative. A line counts once for each of its dimensions, so add up
-- within one dimension_type only. Lines without any dimension have NULL there.
--
-- needs invoice_lines
WITH split AS (
  SELECT l.*, l.dimensions -> CAST(g.place AS INTEGER) AS dimension
  FROM {views}.invoice_lines AS l
  CROSS JOIN LATERAL generate_series(
    0,
    CASE WHEN CAST(l.dimensions AS VARCHAR) LIKE '[_%]' THEN CAST(json_array_length(l.dimensions) AS INTEGER) - 1 ELSE 0 END
  ) AS g (place)
  WHERE l.booked
)
SELECT
  company,
  month,
  currency,
  coalesce(dimension ->> 'typeName', dimension ->> 'typeExternalId', dimension ->> 'type') AS dimension_type,
  coalesce(dimension ->> 'externalId', dimension ->> 'internalId') AS dimension,
  max(coalesce(dimension ->> 'displayName', dimension ->> 'name')) AS dimension_name,
  account,
  count(*) AS lines,
  sum(net) AS net,
  sum(vat) AS vat
FROM split
GROUP BY 1, 2, 3, 4, 5, account
