-- Which purchases are there twice?
--
-- A row for each purchase of Įvesk of a group whose buyer, seller, kind, currency, total and number are the same; numbers are compared
-- without blanks, punctuation, letter case and leading zeros (number). copies: how many there are; same_date: whether their dates are equal, too.
--
-- needs purchases
WITH numbered AS (
  SELECT
    p.*,
    coalesce(seller_country, '') || ':' || coalesce(nullif(seller_code, ''), nullif(seller_vat, ''), seller_name) AS seller,
    regexp_replace(regexp_replace(upper(doc_number), '(^|[^0-9])0+([0-9])', '\1\2', 'g'), '[-_ ./:#,]', '', 'g') AS number
  FROM {views}.purchases AS p
  WHERE doc_number IS NOT NULL
),
counted AS (
  SELECT
    n.*,
    count(*) OVER same AS copies,
    min(issue_date) OVER same = max(issue_date) OVER same AS same_date
  FROM numbered AS n
  WINDOW same AS (PARTITION BY company, buyer_code, seller, doctype, currency, total, number)
)
SELECT
  company, buyer_code, seller_country, seller_code, seller_name, doctype, currency, total, number, copies, same_date, document_id,
  doc_number, issue_date
FROM counted
WHERE copies > 1
