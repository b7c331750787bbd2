"""A live Keras model on TensorFlow: identified, borrowed, named and differentiated, here and nowhere else.

`network` answers for a model. `passes` are what is traced: `compiled` by TensorFlow, the model called in `forward`,
its derivatives in `backward`, those of single steps in `same_step`; `sums` on the device, `row_sums` in NumPy. What
they find in a model: `heads`, `codes`, `masks`, `noise`, `steps`, `layers`; how axes are read: `axes`, `parts`.
`facts`, `identity` and `graphs` tell whether a model has changed, `borrowing` gives it back.
"""
