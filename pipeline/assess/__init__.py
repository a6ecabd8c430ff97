"""Says how far the detector can be trusted: metrics, intervals, plots and the report."""
