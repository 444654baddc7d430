"""Files down from and up to a server: streamed, resumed, counted."""
