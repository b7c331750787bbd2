"""Whatever `fit` takes -> batches of one fixed shape, with row weights."""
