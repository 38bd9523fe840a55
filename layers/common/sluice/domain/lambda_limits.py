"""Lambda's limits of one function, as AWS's documentation has them; an account's quotas may be lower."""

from __future__ import annotations

TIMEOUT_MAX_S = 900
# With six vCPUs.
MEMORY_MAX_MB = 10_240
# Below /tmp.
DISK_MAX_BYTES = 10_240 * 2**20
