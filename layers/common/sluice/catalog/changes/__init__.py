"""The catalog's changes: what a change is, and by name those that decide something.

A function here decides nothing itself: it says under which condition its change may be written, so that one
succeeds of all who try.
"""

from sluice.catalog.changes.base import CHANGES_MAX as CHANGES_MAX
from sluice.catalog.changes.base import Change as Change
from sluice.catalog.changes.base import Delete as Delete
from sluice.catalog.changes.base import Put as Put
from sluice.catalog.changes.base import Update as Update
from sluice.catalog.changes.base import refuse_impossible as refuse_impossible
