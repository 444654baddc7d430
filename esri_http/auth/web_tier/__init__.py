"""Sign-ins of the web server in front of ArcGIS: Basic, Digest, client certificates; and what all of that kind share."""
