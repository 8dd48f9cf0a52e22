"""Singer target for DuckDB and PostgreSQL: exact values in typed columns."""
