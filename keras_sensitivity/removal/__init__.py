"""A model without its noise probes."""
