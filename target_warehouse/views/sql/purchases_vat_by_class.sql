-- How much VAT is there by class, in the company's currency?
--
-- Sums of the lines of Įvesk's purchases in EUR, by VAT class and rate, of all currencies together, as each line is converted by its
-- document's rate and rounded to 2 decimals. Credit notes are negative. lines_without_rate are in another currency without a rate, and in no sum.
--
-- needs purchase_lines
SELECT
  company, buyer_code, month, vat_class, vat_percent, count(*) AS lines, coalesce(sum(net_eur), 0) AS net_eur,
  coalesce(sum(vat_eur), 0) AS vat_eur, count(*) FILTER (WHERE rate IS NULL) AS lines_without_rate
FROM {views}.purchase_lines
GROUP BY company, buyer_code, month, vat_class, vat_percent
