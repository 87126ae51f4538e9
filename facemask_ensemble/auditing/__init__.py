"""What is wrong with a dataset, found from the findings of `data.ingest.check` alone: no image is opened here."""
