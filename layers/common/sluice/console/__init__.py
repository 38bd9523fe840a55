"""Pages about pipelines, made of the same views as what commands print. They read, and change nothing."""
