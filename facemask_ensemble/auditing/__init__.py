"""What is wrong with a data set, found from the findings of `data.ingest.check` alone: no picture is opened here."""
