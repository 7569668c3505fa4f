"""The CA and the serving certificate of admission: made, published and renewed without a gap (R-11, spec 13.19)."""
