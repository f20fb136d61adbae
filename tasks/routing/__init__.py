"""The routing phase: confidence, calibration, router, domain classifier, threshold."""
