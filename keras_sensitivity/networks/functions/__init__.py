"""Any function of rows: its derivatives are central differences, its swaps calls with other rows.

`network` answers for a function. `calls` calls it, counts, and finds the row at which it fails; `packing` gives it rows
as the user has them; `steps` says how far each entry is moved; `passes` makes of all that what a look needs.
`torch_module` makes a function of a module of PyTorch.
"""
