"""The web page of an ensemble. It is built with Gradio, which no other room imports."""
