"""`ap-views` makes the views whose tables are there, says which are not; what tables become does not break them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from target_warehouse.views import command
from target_warehouse.views.definition import views
from target_warehouse.views.install import Places
from tests.postgresql import empty_database, needs_postgresql
from tests.target_warehouse.conftest import Database
from tests.target_warehouse.test_views_cases import T, document, invoice, line, payment, vic
from tests.target_warehouse.viewed import Warehouse, messages

TOTALS = "SELECT currency, sum(total) FROM answers.invoices GROUP BY currency"


@pytest.fixture
def warehouse(database: Database, tmp_path: Path) -> Warehouse:
    return Warehouse(database.url, tmp_path)


def of_schema(warehouse: Warehouse, schema: str) -> set[str]:
    query = f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{schema}'"
    return {name for (name,) in warehouse.values(query)}


def test_apply_list_show_drop(warehouse: Warehouse) -> None:
    warehouse.fill("vicai", vic(invoices=[invoice("1", "10.50")]))
    assert "(not there)" in warehouse.ap_views("list")[0]
    out, complaints = warehouse.ap_views("apply")
    made = of_schema(warehouse, "answers")
    assert {"invoices", "ledger", "open_by_vendor"} < made
    assert out == f"{len(made)} views are in the schema answers: {', '.join(n for n in views() if n in made)}\n"
    left_out = {text.split(": ")[1].split()[0] for text in complaints.splitlines() if "left out" in text}
    assert left_out == views().keys() - made
    listed = {text.split()[0]: text for text in warehouse.ap_views("list")[0].splitlines()}
    assert listed.keys() == views().keys()
    assert {name for name, text in listed.items() if "(not there)" not in text} == made

    shown, _ = warehouse.ap_views("show", "invoices")
    assert shown.startswith("-- What has been invoiced, with credit notes as minus?\n")
    warehouse.values("DROP VIEW answers.invoices CASCADE")
    warehouse.values(shown)
    assert warehouse.sums(TOTALS) == {"NOK": Decimal("10.50")}
    assert (
        "cannot be made: the table ivesk.exported_documents is not there"
        in warehouse.ap_views("show", "purchases", expect=1)[1]
    )
    assert "There is no view nonsense. There are: invoices, " in warehouse.ap_views("show", "nonsense", expect=1)[1]

    # What shell and people made stays.
    warehouse.values("CREATE VIEW answers.mine AS SELECT 1 AS one")
    warehouse.ap_views("drop")
    assert of_schema(warehouse, "answers") == {"mine", "invoices"}


def test_arrows_of_json_stand_in_brackets() -> None:
    """DuckDB before 2.0 reads `a = b ->> 'c'` as `(a = b) ->> 'c'`."""
    for view in views().values():
        assert not re.search(r"""(=|<|>|\|\||\bLIKE|\bIN|\bAND|\bOR|[*/+]) +[\w."]+ ->""", view.body), view.name
        assert not re.search(r"""->>? +'\w+' +(=|<|>|\|\||LIKE|IN|IS)""", view.body), view.name


def test_a_table_or_a_field_that_is_missing(warehouse: Warehouse) -> None:
    streams = vic(invoices=[invoice("1", "1.00")], payments=[payment("p", "1", "1.00")])
    warehouse.load("vicai", messages("tap_vicai", streams, without=["fundedAt"]))
    _, complaints = warehouse.ap_views("apply")
    order_lines = (
        "order_lines is left out: the table vicai.purchase_orders is not there: "
        "the stream purchase_orders of tap-vicai was not loaded."
    )
    assert {
        "payments is left out: vicai.payments has no column fundedAt. Select the field in the catalog.",
        "ledger is left out: it reads the view payments, which is left out.",
        order_lines,
    } < {text.removeprefix("ap-views: ") for text in complaints.splitlines()}
    # Of services that are not used nothing is missed.
    (advice,) = [text for text in complaints.splitlines() if "What is missing of" in text]
    assert "meltano select tap-vicai purchase_orders '*'; " in advice
    assert "meltano run --full-refresh tap-vicai target-warehouse" in advice
    assert warehouse.sums(TOTALS) == {"NOK": Decimal(1)}


def test_optional_fields(warehouse: Warehouse) -> None:
    without = (
        "vendor",
        "issueDate",
        "glDate",
        "status",
        "externalPaymentStatus",
        "externalPaymentTotalPaid",
        "amountSum",
    )
    warehouse.load(
        "vicai",
        messages(
            "tap_vicai",
            {
                "invoices": [
                    {"internalId": "1", "transactionType": "INVOICE"} | {"currency": "NOK", "totalAmount": "2.50"}
                ]
            },
            without,
        ),
    )
    warehouse.ap_views("apply")
    query = "SELECT vendor_name, issue_date, booked, paid_by_erp, total FROM answers.invoices"
    assert warehouse.values(query) == [(None, None, True, 0, Decimal("2.50"))]


@pytest.mark.long
@pytest.mark.parametrize("odd", ["n/a", "NaN", "1e400"])
def test_an_amount_that_is_text(warehouse: Warehouse, odd: str) -> None:
    """A value that is no number makes a column text: its sums are exact, or there are none, and a word about it."""
    warehouse.fill("vicai", vic(invoices=[invoice("1", "12345678901234567.89"), invoice("2", "10.00")]))
    warehouse.ap_views("apply")
    # The views are there already when it comes.
    warehouse.fill("vicai", vic(invoices=[invoice("3", odd)]))
    told = warehouse.ap_views("apply")[1].splitlines()[0]
    if odd == "1e400" and warehouse.is_postgresql:
        # Its numbers are as long as need be.
        assert warehouse.sums(TOTALS) == {"NOK": Decimal("1" + "0" * 383 + "12345678901234577.89")}
        return
    assert told.startswith(
        "ap-views: invoices is left out: the column vicai.invoices.totalAmount has a value that does not fit: "
    )
    assert odd in told
    assert "invoices" not in of_schema(warehouse, "answers")
    warehouse.fill("vicai", vic(invoices=[invoice("3", "0.01")]))
    warehouse.ap_views("apply")
    assert warehouse.sums(TOTALS) == {"NOK": Decimal("12345678901234577.90")}


def test_views_stay_when_a_column_becomes_wider(warehouse: Warehouse) -> None:
    """Also those that people have made, and what others may read; whether `ap-views` runs again or not."""
    warehouse.fill("vicai", vic(invoices=[invoice("1", "10.00")]))
    warehouse.ap_views("apply")
    warehouse.values(
        "CREATE VIEW answers.mine AS SELECT currency, sum(total) AS total FROM answers.invoices GROUP BY 1"
    )
    warehouse.values('CREATE VIEW vicai.raw AS SELECT "refNumber" AS number, "issueDate" AS day FROM vicai.invoices')
    if warehouse.is_postgresql:
        warehouse.values("DROP ROLE IF EXISTS controller")
        warehouse.values("CREATE ROLE controller")
        warehouse.values("GRANT SELECT ON answers.invoices, answers.mine TO controller")
        warehouse.values("COMMENT ON VIEW vicai.raw IS 'mine'")
    log = warehouse.fill("vicai", vic(invoices=[invoice("2", "0.123456789", issueDate="soon", glDate=None)]))
    assert "issueDate now holds text" in log
    if warehouse.is_postgresql:
        assert "The view invoices is left out: the column vicai.invoices.issueDate has a value" in log
    assert sorted(warehouse.values("SELECT number, day FROM vicai.raw")) == [("N-1", "2026-01-10"), ("N-2", "soon")]
    # Mended at the service: the text is one of a day again.
    warehouse.fill("vicai", vic(invoices=[invoice("2", "0.123456789", issueDate="2026-01-10")]))
    warehouse.ap_views("apply")
    assert warehouse.sums("SELECT * FROM answers.mine") == {"NOK": Decimal("10.123456789")}
    if warehouse.is_postgresql:
        grants = "SELECT table_name FROM information_schema.role_table_grants WHERE grantee = 'controller'"
        assert {name for (name,) in warehouse.values(grants)} == {"invoices", "mine"}
        assert warehouse.values("SELECT obj_description('vicai.raw'::regclass)") == [("mine",)]
        warehouse.values("DROP OWNED BY controller")
        warehouse.values("DROP ROLE controller")


@pytest.mark.long
def test_a_view_of_duckdb_never_rounds(tmp_path: Path) -> None:
    """DuckDB rounds where decimals of several scales come together, and where a view was made of a smaller scale."""
    warehouse = Warehouse(str(tmp_path / "warehouse.duckdb"), tmp_path)
    warehouse.fill("vicai", vic(invoices=[invoice("1", "10.00")]))
    warehouse.ap_views("apply")
    warehouse.values('CREATE VIEW vicai.raw AS SELECT "totalAmount" AS total FROM vicai.invoices')
    with warehouse.connected() as connection:
        connection.execute("CREATE TABLE invoices (\"totalAmount\" INTEGER); SET search_path = 'vicai'")
        connection.execute('CREATE VIEW near AS SELECT "totalAmount" AS total FROM invoices')
    log = warehouse.fill("vicai", vic(invoices=[invoice("2", "0.123456789012")]))
    assert warehouse.values("SELECT sum(total) FROM vicai.near") == [(Decimal("10.123456789012"),)]
    assert "The view invoices is left out: the column vicai.invoices.totalAmount " in log
    assert "0.123456789012" in log.split("is left out: the column vicai.invoices.totalAmount ")[1].splitlines()[0]
    assert warehouse.values("SELECT sum(total) FROM vicai.raw") == [(Decimal("10.123456789012"),)]
    assert "invoices" not in of_schema(warehouse, "answers")
    # It fits into the nine places of before; the column keeps its twelve.
    warehouse.fill("vicai", vic(invoices=[invoice("2", "0.123456789")]))
    warehouse.ap_views("apply")
    assert warehouse.sums(TOTALS) == {"NOK": Decimal("10.123456789")}


@needs_postgresql
def test_a_view_that_does_not_fit_any_more_is_told(tmp_path: Path) -> None:
    """What people have made is not lost: nothing is loaded until they have looked."""
    warehouse = Warehouse(empty_database("warehouse"), tmp_path)
    warehouse.fill("vicai", vic(invoices=[invoice("1", "10.00")]))
    warehouse.ap_views("apply")
    warehouse.values('CREATE VIEW vicai.more AS SELECT "totalAmount" AS total FROM vicai.invoices')
    warehouse.values("CREATE VIEW vicai.sums AS SELECT sum(total) AS total FROM vicai.more")
    log = warehouse.fill("vicai", vic(invoices=[invoice("2", "n/a")]), expect=1)
    assert "vicai.invoices has to change" in log
    assert "while the view vicai.sums reads it (function sum(text) does not exist). Nothing was changed." in log
    assert warehouse.values("SELECT * FROM vicai.sums") == [(Decimal(10),)]
    assert warehouse.sums(TOTALS) == {"NOK": Decimal(10)}
    warehouse.values('CREATE MATERIALIZED VIEW vicai.kept AS SELECT "dueDate" FROM vicai.invoices')
    log = warehouse.fill("vicai", vic(invoices=[invoice("3", "1.00", dueDate="soon")]), expect=1)
    assert "while the materialized view vicai.kept reads it. Nothing was changed. Drop the view, run again" in log
    assert warehouse.values("SELECT count(*) FROM vicai.invoices") == [(1,)]


def test_many_companies_in_one_schema(warehouse: Warehouse) -> None:
    """What two companies call the same is not the same."""
    for company, total, paid in (("acme", "100.00", "40.00"), ("beta", "7.00", "7.00")):
        streams = vic(
            invoices=[invoice("1", total)],
            invoice_line_items=[line("1", 0, total, costAccountExternalId="K")],
            payments=[payment("p", "1", paid, fundedAt=T)],
        )
        warehouse.fill("vicai", streams, company=company)
    warehouse.fill("ivesk", {"exported_documents": [document("1", "1.00")]})
    complaints = warehouse.ap_views("apply")[1]
    assert warehouse.sums("SELECT company, open_amount FROM answers.open_by_vendor") == {"acme": Decimal(60)}
    assert warehouse.sums("SELECT company, sum(net) FROM answers.lines_by_account GROUP BY company") == {
        "acme": Decimal(100),
        "beta": Decimal(7),
    }
    assert (
        "purchases_at_vic is left out: some of the tables that it reads have the column company, others do not. "
        "Load all of them with the setting company, or all without." in complaints
    )


def test_the_target_makes_them_on_request(warehouse: Warehouse) -> None:
    log = warehouse.fill("vicai", vic(invoices=[invoice("1", "1.00")]), schema="acme_vicai", views=True)
    assert "views are in the schema acme_answers." in log
    assert "The view purchases is left out: the table acme_ivesk.exported_documents is not there: the stream " in log
    assert "| WARNING" not in log
    query = TOTALS.replace("answers", "acme_answers")
    assert warehouse.sums(query) == {"NOK": Decimal(1)}
    warehouse.fill("ivesk", {"exported_documents": [document("1", "4.00")]}, schema="acme_ivesk", views=True)
    warehouse.fill("vicai", vic(invoices=[invoice("2", "2.00")]), schema="acme_vicai", views=True)
    assert warehouse.sums(query) == {"NOK": Decimal(3)}
    assert warehouse.sums("SELECT currency, total FROM acme_answers.purchases") == {"EUR": Decimal(4)}


def test_what_is_not_ours_is_left_alone(warehouse: Warehouse) -> None:
    warehouse.values("CREATE SCHEMA answers")
    warehouse.values("CREATE TABLE answers.ledger (mine integer)")
    log = warehouse.fill("vicai", vic(invoices=[invoice("1", "1.00")]), views=True)
    assert "The view ledger is left out: answers.ledger is there already, and ap-views has not made it." in log
    assert warehouse.values("SELECT * FROM answers.ledger") == []
    assert warehouse.sums(TOTALS) == {"NOK": Decimal(1)}


@needs_postgresql
def test_data_are_loaded_though_views_cannot_be_made(tmp_path: Path) -> None:
    warehouse = Warehouse(empty_database("warehouse"), tmp_path)
    warehouse.values("DROP ROLE IF EXISTS loader")
    warehouse.values("CREATE ROLE loader LOGIN")
    warehouse.values("CREATE SCHEMA vicai AUTHORIZATION loader")
    loader = Warehouse(warehouse.url.replace("//tester@", "//loader@"), tmp_path)
    log = loader.fill("vicai", vic(invoices=[invoice("1", "1.00")]), views=True)
    assert "All is loaded, but the views could not be made: permission denied for database" in log
    assert warehouse.values("SELECT count(*) FROM vicai.invoices") == [(1,)]
    assert "permission denied" in loader.ap_views("apply", expect=1)[1]
    # Who may not make schemas may have been given one.
    warehouse.values("CREATE SCHEMA answers AUTHORIZATION loader")
    loader.ap_views("apply")
    assert warehouse.sums(TOTALS) == {"NOK": Decimal(1)}
    warehouse.values("DROP OWNED BY loader CASCADE")
    warehouse.values("DROP ROLE loader")


@needs_postgresql
def test_views_of_other_columns_replace_those_of_before(tmp_path: Path) -> None:
    """A newer version may have other columns; who could read a view still can."""
    warehouse = Warehouse(empty_database("warehouse"), tmp_path)
    warehouse.fill("vicai", vic(invoices=[invoice("1", "1.00")]))
    warehouse.ap_views("apply")
    ((comment,),) = warehouse.values("SELECT obj_description('answers.invoices'::regclass)")
    warehouse.values("CREATE VIEW answers.mine AS SELECT total FROM answers.invoices")
    warehouse.values("DROP VIEW answers.invoices CASCADE")
    warehouse.values("CREATE VIEW answers.invoices AS SELECT 2.5 AS total, 'x' AS old")
    warehouse.values(f"COMMENT ON VIEW answers.invoices IS '{comment.replace('sha256', 'sha1')}'")
    warehouse.values("CREATE VIEW answers.mine AS SELECT total FROM answers.invoices")
    warehouse.values("GRANT SELECT ON answers.invoices TO PUBLIC")
    warehouse.ap_views("apply")
    assert warehouse.values("SELECT total FROM answers.mine") == [(Decimal(1),)]
    assert warehouse.values("SELECT has_table_privilege('public', 'answers.invoices', 'SELECT')") == [(True,)]
    # Nothing has changed: nothing is done.
    ((before,),) = warehouse.values("SELECT 'answers.invoices'::regclass::oid")
    warehouse.ap_views("apply")
    assert warehouse.values("SELECT 'answers.invoices'::regclass::oid") == [(before,)]


@needs_postgresql
def test_views_of_a_table_that_was_renamed(tmp_path: Path) -> None:
    """PostgreSQL's go on reading it under its new name, and its column under a new one; sums would never change."""
    warehouse = Warehouse(empty_database("warehouse"), tmp_path)
    warehouse.fill("vicai", vic(invoices=[invoice("1", "1.00")]))
    warehouse.ap_views("apply")
    warehouse.values("CREATE VIEW answers.mine AS SELECT sum(total) AS total FROM answers.invoices")
    warehouse.values("ALTER TABLE vicai.invoices RENAME TO backup")
    warehouse.fill("vicai", vic(invoices=[invoice("1", "2.00")]))
    assert warehouse.sums(TOTALS) == {"NOK": Decimal(2)}
    assert warehouse.values("SELECT total FROM answers.mine") == [(Decimal(2),)]
    warehouse.values('ALTER TABLE vicai.invoices RENAME COLUMN "totalAmount" TO former')
    warehouse.fill("vicai", vic(invoices=[invoice("1", "3.00")]))
    assert warehouse.sums(TOTALS) == {"NOK": Decimal(3)}
    # Without their table they go, but for those that others need.
    warehouse.values("ALTER TABLE vicai.invoices RENAME TO former")
    complaint = warehouse.ap_views("apply")[1]
    assert "invoices stays as it is, for it cannot be dropped: cannot drop view answers.invoices because" in complaint
    assert "(view answers.mine depends on view answers.invoices)." in complaint
    assert of_schema(warehouse, "answers") == {"invoices", "mine"}
    assert "Not dropped: invoices (" in warehouse.ap_views("drop", expect=1)[1]
    warehouse.values("DROP VIEW answers.mine")
    assert warehouse.ap_views("drop")[0] == "1 views are dropped from the schema answers.\n"


@needs_postgresql
def test_views_of_another_owner(tmp_path: Path) -> None:
    warehouse = Warehouse(empty_database("warehouse"), tmp_path)
    warehouse.fill("vicai", vic(invoices=[invoice("1", "1.00")]))
    warehouse.ap_views("apply")
    warehouse.values("DROP ROLE IF EXISTS other")
    warehouse.values("CREATE ROLE other LOGIN")
    warehouse.values("GRANT ALL ON SCHEMA vicai, answers TO other")
    warehouse.values("GRANT ALL ON ALL TABLES IN SCHEMA vicai TO other")
    warehouse.values("ALTER TABLE vicai.invoices RENAME TO backup")
    other = Warehouse(warehouse.url.replace("//tester@", "//other@"), tmp_path)
    assert "invoices (must be owner of view invoices)" in other.ap_views("drop", expect=1)[1]
    assert (
        "ledger stays as it is, for it cannot be dropped: must be owner of view ledger." in other.ap_views("apply")[1]
    )
    log = other.fill("vicai", vic(invoices=[invoice("1", "2.00")]), views=True)
    assert re.search(r"The view invoices is left out: must be owner of view \w+\.", log), log
    warehouse.values("DROP OWNED BY other CASCADE")
    warehouse.values("DROP ROLE other")


def test_comments_that_people_changed(warehouse: Warehouse) -> None:
    warehouse.fill("vicai", vic(invoices=[invoice("1", "1.00")]))
    warehouse.ap_views("apply")
    for said in (
        "null",
        "{}",
        '{"made_by": "target-warehouse"}',
        '{"made_by": "target-warehouse", "stream": "invoices"}',
    ):
        warehouse.values(f"COMMENT ON TABLE vicai.invoices IS '{said}'")
        assert "the table vicai.invoices was not made by target-warehouse" in warehouse.ap_views("apply")[1]
        assert "its comment, which says what it holds, was changed" in warehouse.fill(
            "vicai", vic(invoices=[]), expect=1
        )
    warehouse.values("CREATE VIEW answers.mine AS SELECT 1 AS one")
    warehouse.values("""COMMENT ON VIEW answers.mine IS '{"made_by": "ap-views"}'""")
    warehouse.fill("vicai", vic(payments=[payment("p", "1", "1.00")]), schema="other")
    assert warehouse.values("SELECT one FROM answers.mine") == [(1,)]


def test_a_file_called_as_a_schema_and_a_copy_of_a_file(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path / "vicai.duckdb"), tmp_path)
    log = warehouse.fill("vicai", vic(invoices=[invoice("1", "1.00")]), views=True)
    assert "The file vicai is called as its schema vicai, and in views DuckDB cannot tell the two apart." in log
    plain = Warehouse(str(tmp_path / "plain.duckdb"), tmp_path)
    plain.fill("vicai", vic(invoices=[invoice("1", "1.00")]), views=True)
    copy = Warehouse(str(shutil.copy(plain.url, tmp_path / "copy.duckdb")), tmp_path)
    Path(plain.url).unlink()
    assert copy.sums(TOTALS) == {"NOK": Decimal(1)}


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ("vicai", ["vicai", "ivesk", "saft", "answers"]),
        ("ivesk", ["vicai", "ivesk", "saft", "answers"]),
        ("acme_saft", ["acme_vicai", "acme_ivesk", "acme_saft", "acme_answers"]),
        ("tap_vicai_2", ["tap_vicai_2", "tap_ivesk_2", "tap_saft_2", "tap_answers_2"]),
        ("main", ["main", "main", "main", "answers"]),
        ("acme", ["acme", "acme", "acme", "acme_answers"]),
    ],
)
def test_schemas_that_belong_together(schema: str, wanted: Sequence[str]) -> None:
    places = Places.beside(schema)
    assert [*places.schemas.values(), places.into] == wanted


def test_schemas_of_other_names(warehouse: Warehouse) -> None:
    warehouse.fill("vicai", vic(invoices=[invoice("1", "1.00")]), schema="bills")
    complaints = warehouse.ap_views("apply", expect=1)[1]
    assert complaints.startswith(
        "ap-views: There is no table of target-warehouse in the schemas vicai, ivesk, saft. Name the right one: "
        "--schema."
    )
    warehouse.ap_views("apply", "--vicai", "bills", "--into", "asked")
    assert warehouse.sums(TOTALS.replace("answers", "asked")) == {"NOK": Decimal(1)}
    warehouse.ap_views("drop", "--into", "asked")
    assert of_schema(warehouse, "asked") == set()


def test_no_database_and_no_password_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.delenv("TARGET_WAREHOUSE_DATABASE", raising=False)
    assert command.run(["apply"]) == 1
    assert command.run(["apply", "--database", str(tmp_path / "none.duckdb")]) == 1
    assert not (tmp_path / "none.duckdb").exists()
    assert command.run(["apply", "--database", "postgresql://ap:s3cret-word@127.0.0.1:9/none"]) == 1
    err = capsys.readouterr().err
    assert "TARGET_WAREHOUSE_DATABASE" in err
    assert "there is no such file" in err
    assert "PostgreSQL at 127.0.0.1" in err
    assert "s3cret-word" not in err
    assert psycopg.__version__
