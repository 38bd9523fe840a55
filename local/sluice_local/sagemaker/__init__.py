"""SageMaker on this machine: a registry, jobs that run and endpoints that serve, behind the AWS API."""
