"""Floor 3: ways to sign in. A handler never owns a connection; it is given a `Wire` to send through."""
