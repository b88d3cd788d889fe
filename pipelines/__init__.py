"""How data comes in: contracts, deliveries, the gate, the store, and Dagster around them."""
