"""`python -m demo.sql "select ..."`: ask the demo's warehouse, or `--file`, something; no DuckDB client needed."""

import argparse
import sys
from pathlib import Path

import duckdb

from demo.project import OUTPUT, Places, shown


def main(arguments: list[str] | None = None) -> int:
    """Print the answer to one question; the file is only read."""
    parser = argparse.ArgumentParser(prog="python -m demo.sql", description="Ask the warehouse something, in SQL.")
    parser.add_argument("query")
    parser.add_argument("--file", type=Path, default=Places(OUTPUT).warehouse, help="the DuckDB file")
    given = parser.parse_args(arguments)
    if not given.file.is_file():
        print(f"{shown(given.file)} does not exist; `make demo` makes it.", file=sys.stderr)
        return 1
    try:
        with duckdb.connect(str(given.file), read_only=True) as connection:
            connection.sql(given.query).show(max_rows=100)
    except duckdb.Error as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
