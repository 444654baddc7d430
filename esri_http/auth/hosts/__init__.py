"""Programs that are signed in already, and hand that over: ArcGIS Pro, hosted notebooks."""
