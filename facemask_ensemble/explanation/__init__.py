"""Heatmaps: where in an image a member looked."""
