"""What a model predicted on the hold-out: its metrics, those of slices, and how two models compare."""
