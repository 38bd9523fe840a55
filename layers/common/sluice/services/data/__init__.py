"""What arrives, the data set versions that are made of it, and what came of them."""
