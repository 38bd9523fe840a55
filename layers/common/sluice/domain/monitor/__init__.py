"""Judge what a released model is asked and answers: whether that drifts, and how good it was."""
