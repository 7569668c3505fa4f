"""The webhook server: an AdmissionReview in, a verdict or a patch out."""
