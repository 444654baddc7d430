"""Floor 3: ways to sign in. A handler never owns a connection; it is given a `Wire` to send through.

Here is what all of them are built on (`base`, `challenges`, `flights`, `sites`), and what puts several together (`chain`,
`callables`, `guess`, `netrc`).
"""
