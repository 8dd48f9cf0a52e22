"""One case per incoming stream: a record that is new, one that changes it, one that is no good; what Vic then shows."""

from __future__ import annotations

from tests.target_vicai.cases_documents import DOCUMENTS
from tests.target_vicai.cases_master_data import MASTER_DATA

CASES = (*MASTER_DATA, *DOCUMENTS)
BY_STREAM = {case.stream: case for case in CASES}
