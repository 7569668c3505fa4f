"""The API kinds as typed structs, one module a kind; the CRD manifests are generated from them."""
