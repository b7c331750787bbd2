"""A live Keras model on TensorFlow: identified, borrowed, named and differentiated, here and nowhere else.

`network` answers for a model. `passes` are what is traced: `compiled` by TensorFlow, the forward pass under a gradient
tape in `tape`, then `same_step` and `sums`. What they find in a model: `heads`, `codes`, `masks`, `noise`, `steps`,
`layers`; how axes are read: `axes`, `parts`. `facts`, `identity` and `graphs` tell whether a model has changed,
`borrowing` gives it back.
"""
