"""The model over HTTP: scores for other services, and a page for people."""
