"""Pipelines of SageMaker, as its SDK writes them, that a build runs in place of scripts."""
