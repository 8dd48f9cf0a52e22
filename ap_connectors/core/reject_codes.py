"""The codes of rejects: stable names of reasons, each with what it means and the parameters that come along.

The reject file, the report and the log show them beside the sentence. Programs, and `tap-rejects`, go by the code; the
sentences may be reworded at any time.
"""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    "unclassified": "A reason without a code of its own.",
    "unknown_reference": "It refers to what the service does not have. references: the kind and the key of each.",
}
"""What each code means. A test compares them with what the code raises and with what `tap-rejects` can say."""
