-- Which seller's IBAN changed from one document to the next, from what to what?
--
-- A row for each purchase of Įvesk that names another IBAN than the seller's purchase before it did, by date; sellers are told apart by country
-- and registration code, else VAT number, else name. IBANs are compared without blanks, dots, hyphens and letter case.
--
-- needs purchases
WITH ordered AS (
  SELECT
    p.*,
    nullif(upper(regexp_replace(seller_iban, '[-. ]', '', 'g')), '') AS iban,
    coalesce(seller_country, '') || ':' || coalesce(nullif(seller_code, ''), nullif(seller_vat, ''), seller_name) AS seller
  FROM {views}.purchases AS p
),
changes AS (
  SELECT
    o.*,
    lag(iban) OVER before AS iban_before,
    lag(issue_date) OVER before AS date_before,
    lag(document_id) OVER before AS document_before
  FROM ordered AS o
  WHERE iban IS NOT NULL
  WINDOW before AS (PARTITION BY company, seller ORDER BY issue_date, doc_number, document_id)
)
SELECT
  company, seller_country, seller_code, seller_vat, seller_name, iban_before AS from_iban, iban AS to_iban, date_before AS last_seen,
  issue_date AS first_seen, document_before, document_id, doc_number, buyer_code
FROM changes
WHERE iban <> iban_before
