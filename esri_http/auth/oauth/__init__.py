"""OAuth 2 at a portal, by app, password, refresh token or person; and `EsriBuiltInAuth`, which falls back on it."""
