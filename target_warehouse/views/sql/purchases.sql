-- What has the company bought, by the documents of Įvesk?
--
-- A row for each exported document whose buyer is a company of yours; pro formas and prepayment invoices are no invoices and left out.
-- net, vat, total are in currency; those of credit notes are negative, whichever sign they came with. total_eur is total divided by the
-- document's rate (1 EUR = rate), rounded to 2 decimals; NULL for another currency without a rate.
--
-- reads ivesk.exported_documents: id, date date?, duedate date?, docnum?, doctype?, subtotal decimal?, vat decimal?, total decimal,
--   currency, currencyrate decimal?, sellercode?, sellervat?, sellername?, sellercountry?, selleriban?, buyercode?, buyervat?,
--   buyername?, buyerisfavorite boolean
WITH signed AS (
  SELECT
    d.*,
    CASE WHEN lower(d."doctype") LIKE '%credit%' AND d."total" > 0 THEN -1 ELSE 1 END AS sign,
    CASE WHEN upper(d."currency") = 'EUR' THEN 1 WHEN d."currencyrate" > 0 THEN d."currencyrate" END AS rate
  FROM {ivesk.exported_documents} AS d
  WHERE d."buyerisfavorite" AND coalesce(lower(d."doctype"), '') NOT IN ('proforma', 'prepaymentinvoice')
)
SELECT
  company,
  "id" AS document_id,
  "buyercode" AS buyer_code,
  "buyername" AS buyer_name,
  "sellercode" AS seller_code,
  "sellervat" AS seller_vat,
  "sellername" AS seller_name,
  "sellercountry" AS seller_country,
  "selleriban" AS seller_iban,
  "docnum" AS doc_number,
  "doctype" AS doctype,
  "date" AS issue_date,
  "duedate" AS due_date,
  CAST(date_trunc('month', CAST("date" AS TIMESTAMP)) AS DATE) AS month,
  "currency" AS currency,
  rate,
  sign,
  sign * "subtotal" AS net,
  sign * "vat" AS vat,
  sign * "total" AS total,
  sign * {quotient "total" ; rate} AS total_eur
FROM signed
