"""Benchmarks: each part of the package beside its bare alternative. See `make help`."""
