-- What was bought on which code and object, by month?
--
-- Sums of the lines of Įvesk's purchases, in currency; credit notes are negative. code is that of the account or article.
--
-- needs purchase_lines
SELECT company, buyer_code, month, currency, code, object, vat_class, count(*) AS lines, sum(net) AS net, sum(vat) AS vat, sum(total) AS total
FROM {views}.purchase_lines
GROUP BY company, buyer_code, month, currency, code, object, vat_class
