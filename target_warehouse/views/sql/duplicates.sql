-- Which invoices are there twice?
--
-- A row for each invoice at Vic.ai (all states) of a group whose vendor, kind, currency, total and number are the same; numbers are
-- compared without blanks, punctuation, letter case and leading zeros (number), so "INV-0042" is "inv 42". copies: how many there are.
-- same_date: whether the dates of issue are equal, too; a number may come again in another year.
--
-- needs invoices
WITH numbered AS (
  SELECT
    i.*,
    regexp_replace(regexp_replace(upper(ref_number), '(^|[^0-9])0+([0-9])', '\1\2', 'g'), '[-_ ./:#,]', '', 'g') AS number
  FROM {views}.invoices AS i
  WHERE ref_number IS NOT NULL
),
counted AS (
  SELECT n.*, count(*) OVER same AS copies, min(issue_date) OVER same = max(issue_date) OVER same AS same_date
  FROM numbered AS n
  WINDOW same AS (PARTITION BY company, vendor_id, kind, currency, total, number)
)
SELECT
  company, vendor_id, vendor_external_id, vendor_name, kind, currency, total, number, copies, same_date, invoice_id, external_id, ref_number,
  issue_date, status
FROM counted
WHERE copies > 1
