"""The contract of a job's container, for who runs one: run_job on Lambda, and the local SageMaker.

The standard library only, and no AWS: storage, logs and clocks are given.
"""
