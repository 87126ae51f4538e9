"""Images in, rows out: the ensemble that answers, its runtimes and engines, and the table of its answers."""
