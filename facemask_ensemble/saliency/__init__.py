"""Heatmaps: where in a picture a member looked."""
