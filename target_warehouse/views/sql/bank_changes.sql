-- Whose bank details changed from one invoice to the next, from what to what?
--
-- A row for each invoice at Vic.ai (all states) that names another account than the vendor's invoice before it did, by date of issue;
-- kind is the kind of number. Numbers are compared without blanks, dots, hyphens and letter case. account_today is what the vendor has at
-- Vic.ai now. The table of vendors keeps no history, so what changed there between two invoices, or without any, is not seen.
--
-- reads vicai.invoices: internalId, paymentInfo json
-- reads vicai.vendors?: internalId, defaultPaymentInfo json?
-- needs invoices
WITH kinds AS (
  SELECT company, "internalId" AS id, "paymentInfo" AS info, 'invoice' AS holder FROM {vicai.invoices} AS i
  UNION ALL
  SELECT company, "internalId", "defaultPaymentInfo", 'vendor' FROM {vicai.vendors} AS v
),
accounts AS (
  SELECT company, id, holder, 'iban' AS kind, (info -> 'internationalBankAccount') ->> 'iban' AS account FROM kinds
  UNION ALL
  SELECT company, id, holder, 'bban', info ->> 'bban' FROM kinds
  UNION ALL
  SELECT company, id, holder, 'bankAccountNum', info ->> 'bankAccountNum' FROM kinds
  UNION ALL
  SELECT company, id, holder, 'bankGiro', info ->> 'bankGiro' FROM kinds
  UNION ALL
  SELECT company, id, holder, 'plusGiro', info ->> 'plusGiro' FROM kinds
),
plain AS (
  SELECT company, id, holder, kind, nullif(upper(regexp_replace(account, '[-. ]', '', 'g')), '') AS account FROM accounts
),
ordered AS (
  SELECT
    i.company, i.vendor_id, i.vendor_external_id, i.vendor_name, p.kind, p.account, i.invoice_id, i.ref_number, i.issue_date,
    lag(p.account) OVER before AS account_before,
    lag(i.invoice_id) OVER before AS invoice_before,
    lag(i.issue_date) OVER before AS date_before
  FROM plain AS p
  JOIN {views}.invoices AS i ON i.company = p.company AND i.invoice_id = p.id
  WHERE p.holder = 'invoice' AND p.account IS NOT NULL AND i.vendor_id IS NOT NULL
  WINDOW before AS (PARTITION BY i.company, i.vendor_id, p.kind ORDER BY i.issue_date, i.ref_number, i.invoice_id)
)
SELECT
  o.company, o.vendor_id, o.vendor_external_id, o.vendor_name, o.kind, o.account_before AS from_account, o.account AS to_account,
  o.date_before AS last_seen, o.issue_date AS first_seen, o.invoice_before, o.invoice_id, o.ref_number, v.account AS account_today
FROM ordered AS o
LEFT JOIN plain AS v ON v.holder = 'vendor' AND v.company = o.company AND v.id = o.vendor_id AND v.kind = o.kind
WHERE o.account <> o.account_before
