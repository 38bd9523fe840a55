"""AWS's list prices in US dollars, of one region and one date: the only place where prices are written.

The figures are those of the public price pages (`SOURCES`), without free tiers, savings plans and taxes.
An instance type is listed only if independent transcriptions of AWS's price list agree. `AS_OF` is the day
of the newest one (of ml.g5.2xlarge; of ml.m5.large 2026-08-11). Other regions may cost half as much again.
What AWS charged for a run's jobs on SageMaker is in Cost Explorer, by the tag `sluice:run`.
"""

from __future__ import annotations

from collections.abc import Mapping

REGION = "us-east-1"
AS_OF = "2026-08-20"
SOURCES = (
    "https://aws.amazon.com/lambda/pricing/",
    "https://aws.amazon.com/step-functions/pricing/",
    "https://aws.amazon.com/sagemaker/ai/pricing/",
    "https://aws.amazon.com/s3/pricing/",
    "https://aws.amazon.com/eventbridge/pricing/",
    "https://aws.amazon.com/dynamodb/pricing/on-demand/",
)

# Lambda, by architecture; a GB is 1,024 MB there.
LAMBDA_GB_S: Mapping[str, float] = {"x86_64": 0.0000166667, "arm64": 0.0000133334}
LAMBDA_REQUEST = 0.20 / 1_000_000
# Temporary storage above the 512 MB that are free.
LAMBDA_STORAGE_GB_S = 0.0000000309
# Standard workflows.
STATE_TRANSITION = 0.025 / 1_000
S3_GB_MONTH = 0.023
# Events that the stack puts on the bus itself; those of AWS's services are free.
CUSTOM_EVENT = 1.00 / 1_000_000
# On demand, standard table class.
DYNAMODB_WRITE = 0.625 / 1_000_000
DYNAMODB_READ = 0.125 / 1_000_000
# The disk of a training or processing instance.
VOLUME_GB_MONTH = 0.14

# Dollars an hour of one instance of a training or processing job.
INSTANCE_HOUR: Mapping[str, float] = {
    "ml.t3.medium": 0.05,
    "ml.t3.large": 0.10,
    "ml.t3.xlarge": 0.20,
    "ml.t3.2xlarge": 0.399,
    "ml.m5.large": 0.115,
    "ml.m5.xlarge": 0.23,
    "ml.m5.2xlarge": 0.461,
    "ml.m5.4xlarge": 0.922,
    "ml.m5.12xlarge": 2.765,
    "ml.m5.24xlarge": 5.53,
    "ml.c5.xlarge": 0.204,
    "ml.c5.2xlarge": 0.408,
    "ml.c5.4xlarge": 0.816,
    "ml.c5.9xlarge": 1.836,
    "ml.c5.18xlarge": 3.672,
    "ml.r5.large": 0.151,
    "ml.r5.xlarge": 0.302,
    "ml.r5.2xlarge": 0.605,
    "ml.r5.4xlarge": 1.21,
    "ml.r5.8xlarge": 2.419,
    "ml.r5.16xlarge": 4.838,
    "ml.g4dn.xlarge": 0.7364,
    "ml.g4dn.2xlarge": 0.94,
    "ml.g4dn.4xlarge": 1.505,
    "ml.g4dn.8xlarge": 2.72,
    "ml.g4dn.12xlarge": 4.89,
    "ml.g4dn.16xlarge": 5.44,
    "ml.g5.xlarge": 1.408,
    "ml.g5.2xlarge": 1.515,
    "ml.g5.4xlarge": 2.03,
    "ml.g5.8xlarge": 3.06,
    "ml.g5.12xlarge": 7.09,
    "ml.g5.16xlarge": 5.12,
    "ml.g5.24xlarge": 10.18,
    "ml.g5.48xlarge": 20.36,
    "ml.p3.2xlarge": 3.825,
    "ml.p3.8xlarge": 14.688,
    "ml.p3.16xlarge": 28.152,
}
