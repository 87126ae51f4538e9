"""Train one member in a separate process."""
