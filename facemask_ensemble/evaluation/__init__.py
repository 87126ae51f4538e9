"""Metrics, statistics and the verdict on members and vote."""
