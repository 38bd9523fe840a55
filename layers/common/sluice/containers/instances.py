"""Say how much memory an instance type has: what a job's container, or a model server, may hold.

By the public pages of instance types (https://aws.amazon.com/ec2/instance-types/): in most families each vCPU
has the same memory, and a size has as many vCPUs in one family as in another. Other types are listed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_TYPE = r"ml\.(?P<family>[a-z]+\d[a-z]*)\.(?P<size>medium|large|(?P<times>\d*)xlarge)"
# GiB of each vCPU.
_GIB_A_VCPU: Mapping[str, float] = {
    **dict.fromkeys(("c5", "c5d", "c6g", "c6gd", "c6i", "c6id", "c7g", "c7i"), 2),
    **dict.fromkeys(("m4", "m5", "m5d", "m6g", "m6gd", "m6i", "m6id", "m7g", "m7i"), 4),
    **dict.fromkeys(("r5", "r5d", "r6g", "r6gd", "r6i", "r6id", "r7g", "r7i"), 8),
    **dict.fromkeys(("g4dn", "g5", "g6"), 4),
    **{"c4": 1.875, "g6e": 8},
}
_VCPUS = {"medium": 1, "large": 2}
_VCPUS_OF_XLARGE = 4
# In GiB: of families with accelerators, and of small types, whose vCPUs have other shares.
_LISTED: Mapping[str, float] = {
    **{"ml.t2.medium": 4, "ml.t2.large": 8, "ml.t2.xlarge": 16, "ml.t2.2xlarge": 32},
    **{"ml.t3.medium": 4, "ml.t3.large": 8, "ml.t3.xlarge": 16, "ml.t3.2xlarge": 32},
    **{"ml.c4.8xlarge": 60, "ml.c5n.large": 5.25, "ml.c5n.xlarge": 10.5, "ml.c5n.2xlarge": 21},
    **{"ml.c5n.4xlarge": 42, "ml.c5n.9xlarge": 96, "ml.c5n.18xlarge": 192},
    **{"ml.p2.xlarge": 61, "ml.p2.8xlarge": 488, "ml.p2.16xlarge": 732},
    **{"ml.p3.2xlarge": 61, "ml.p3.8xlarge": 244, "ml.p3.16xlarge": 488, "ml.p3dn.24xlarge": 768},
    **{"ml.p4d.24xlarge": 1152, "ml.p4de.24xlarge": 1152, "ml.p5.48xlarge": 2048},
    **{"ml.inf1.xlarge": 8, "ml.inf1.2xlarge": 16, "ml.inf1.6xlarge": 48, "ml.inf1.24xlarge": 192},
    **{"ml.inf2.xlarge": 16, "ml.inf2.8xlarge": 128, "ml.inf2.24xlarge": 384, "ml.inf2.48xlarge": 768},
    **{"ml.trn1.2xlarge": 32, "ml.trn1.32xlarge": 512, "ml.trn1n.32xlarge": 512},
}


def memory_mb(instance_type: str) -> int | None:
    """Return the memory of one instance; None if the type is not known here."""
    gib = _LISTED.get(instance_type)
    if gib is None and (named := re.fullmatch(_TYPE, instance_type)):
        vcpus = _VCPUS.get(named["size"]) or int(named["times"] or 1) * _VCPUS_OF_XLARGE
        share = _GIB_A_VCPU.get(named["family"])
        gib = None if share is None else share * vcpus
    return None if gib is None else round(gib * 1024)
