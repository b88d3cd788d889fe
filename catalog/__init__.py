"""How data goes out: search, pages, downloads and API over the register and the store. Knows nothing of Dagster."""
