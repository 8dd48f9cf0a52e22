"""`target-vicai`: master data, purchase orders, invoices and posting results into Vic.ai, each exactly once."""
