"""The ways data gets out. Each asks the one decision and reads rows through `selection` alone."""
