"""The `sluice` command: the same words for the local cloud and for an AWS account."""
