"""When CloudWatch knows what an endpoint did, and so when an alarm can fire."""

# SageMaker sends a metric every minute, and CloudWatch has it up to a minute late.
DELIVERED_EVERY_S = 60
DELIVERED_LATE_S = 60
# An alarm counts whole minutes: the first one with a failure, the next one, and a minute until it is known.
FIRES_WITHIN_S = 2 * DELIVERED_EVERY_S + DELIVERED_LATE_S
