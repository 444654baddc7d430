"""The tests of esri_http; `make test` runs them all."""
