"""Faces in images: found, cut out, asked about one by one, and drawn on."""
