"""Serve an ensemble: images from outside, and the MLflow model that answers them."""
