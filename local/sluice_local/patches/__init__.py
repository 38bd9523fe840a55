"""What ministack does unlike AWS, set right: one module per service, each with `install(settings)`."""
