"""Hyperparameter tuning jobs: training jobs by points of a search space, and the best of them."""
