"""Reading from a real API server."""
