"""Correct what ministack does unlike AWS: a module for each service, with `install(settings)`."""
