"""Watch what serves: judge windows of captured requests, join labels to them, and tell what was found."""
