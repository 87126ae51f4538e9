"""The web page: an ensemble to try by hand. Gradio carries it, and nothing else imports it."""
