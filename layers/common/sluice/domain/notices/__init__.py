"""Turn what happened into messages that a person can act on, for e-mail, programs, Slack and Teams."""
