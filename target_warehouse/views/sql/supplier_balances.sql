-- What do the books of the ERP say that we owe to whom, at the end of each period?
--
-- A row for each supplier and period of the SAF-T files, in the currency of the books: owed is positive. Of a period the file that was made last
-- counts. day is the last day of the period. Several accounts of a supplier are one sum.
--
-- reads saft.party_balances: company_id, party_type, party_id, account_id?, period_start, period_end, audit_file_date_created,
--   closing_balance decimal, opening_balance decimal?, movement_debit decimal?, movement_credit decimal?, currency_code?
-- reads saft.suppliers?: company_id, supplier_id, occurrence integer, name?
WITH latest AS (
  SELECT b.*, max(b."audit_file_date_created") OVER (PARTITION BY b.company, b."company_id", b."period_start", b."period_end") AS newest
  FROM {saft.party_balances} AS b
  WHERE b."party_type" = 'supplier'
),
sums AS (
  SELECT
    company, "company_id", "period_start", "period_end", "party_id", "currency_code",
    -sum("opening_balance") AS opening, sum("movement_credit") AS credited, sum("movement_debit") AS debited,
    -sum("closing_balance") AS owed
  FROM latest
  WHERE "audit_file_date_created" = newest
  GROUP BY company, "company_id", "period_start", "period_end", "party_id", "currency_code"
)
SELECT
  b.company,
  b."company_id" AS company_id,
  b."period_start" AS period_start,
  b."period_end" AS period_end,
  CASE WHEN length(b."period_end") = 7
    THEN CAST(CAST({date b."period_end" || '-01'} AS TIMESTAMP) + INTERVAL '1 month' AS DATE) - 1
    ELSE {date b."period_end"}
  END AS day,
  b."party_id" AS supplier_id,
  s."name" AS supplier_name,
  b."currency_code" AS currency,
  b.opening,
  b.credited,
  b.debited,
  b.owed
FROM sums AS b
LEFT JOIN {saft.suppliers} AS s ON s.company = b.company AND s."company_id" = b."company_id" AND s."supplier_id" = b."party_id"
  AND s."occurrence" = 1
