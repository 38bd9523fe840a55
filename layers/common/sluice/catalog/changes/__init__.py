"""The catalog's changes: what a change is, and named changes that decide something.

A function here does not decide itself: it states the condition for its change, so that only one of all
callers succeeds.
"""

from sluice.catalog.changes.base import CHANGES_MAX as CHANGES_MAX
from sluice.catalog.changes.base import Change as Change
from sluice.catalog.changes.base import Delete as Delete
from sluice.catalog.changes.base import Put as Put
from sluice.catalog.changes.base import Update as Update
from sluice.catalog.changes.base import refuse_impossible as refuse_impossible
