"""OAuth 2 of the embedded portal: its apps and settings, its pages, its token endpoint."""
