-- Which purchases of Įvesk are at Vic.ai, and with the same total?
--
-- A row for each purchase and for each invoice of Vic.ai without one. An invoice is that of a document if its external id is the
-- document's, as mapper-ivesk-vicai sends it, else if number, date of issue and currency are the same and only one on each side has them
-- (matched_by: id, number). state: same, differs (total or currency), training invoice (there is one of this number, date and currency;
-- Vic.ai shows no total of it), not at Vic.ai, only at Vic.ai. total and vic_total are in their currencies, credit notes negative; difference
-- is Vic.ai's less Įvesk's, where the currencies are the same.
--
-- reads vicai.training_invoices?: refNumber?, issueDate date?, currency?
-- needs purchases, invoices
WITH by_number AS (
  SELECT company, ref_number, issue_date, currency, min(invoice_id) AS invoice_id
  FROM {views}.invoices
  GROUP BY company, ref_number, issue_date, currency
  HAVING count(*) = 1
),
bought AS (
  SELECT p.*, count(*) OVER (PARTITION BY company, doc_number, issue_date, currency) AS twins
  FROM {views}.purchases AS p
),
taught AS (
  SELECT DISTINCT company, "refNumber" AS ref_number, "issueDate" AS issue_date, "currency" AS currency
  FROM {vicai.training_invoices} AS t
),
matched AS (
  SELECT
    p.*,
    coalesce(i.invoice_id, n.invoice_id) AS invoice_id,
    CASE WHEN i.invoice_id IS NOT NULL THEN 'id' WHEN n.invoice_id IS NOT NULL THEN 'number' END AS matched_by,
    t.ref_number IS NOT NULL AS is_taught
  FROM bought AS p
  LEFT JOIN {views}.invoices AS i ON i.company = p.company AND i.external_id = p.document_id
  LEFT JOIN by_number AS n ON n.company = p.company AND n.ref_number = p.doc_number AND n.issue_date = p.issue_date
    AND n.currency = p.currency AND p.twins = 1
  LEFT JOIN taught AS t ON t.company = p.company AND t.ref_number = p.doc_number AND t.issue_date = p.issue_date
    AND t.currency = p.currency
)
SELECT
  coalesce(m.company, i.company) AS company,
  CASE
    WHEN m.document_id IS NULL THEN 'only at Vic.ai'
    WHEN i.invoice_id IS NULL AND m.is_taught THEN 'training invoice'
    WHEN i.invoice_id IS NULL THEN 'not at Vic.ai'
    WHEN m.total = i.total AND m.currency = i.currency THEN 'same'
    ELSE 'differs'
  END AS state,
  m.document_id, m.buyer_code, m.seller_code, m.seller_name, m.doc_number, m.issue_date, m.currency, m.total,
  i.invoice_id, m.matched_by, i.vendor_name, i.ref_number, i.status, i.currency AS vic_currency, i.total AS vic_total,
  CASE WHEN m.currency = i.currency THEN i.total - m.total END AS difference
FROM matched AS m
FULL JOIN {views}.invoices AS i ON i.company = m.company AND i.invoice_id = m.invoice_id
