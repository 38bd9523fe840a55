"""A run: when one is due, its steps and jobs, how it is judged and how it ends."""
