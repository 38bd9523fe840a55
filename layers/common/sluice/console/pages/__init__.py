"""Pages: each is a pure function from a view to a `Page`."""
