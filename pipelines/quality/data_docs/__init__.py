"""Data Docs as Great Expectations renders them, in pages of our own: no script, no other host, the catalogue's look."""
