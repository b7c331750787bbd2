"""`Measurement`: looks at a network as often as wanted."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.special

from keras_sensitivity import errors, shares
from keras_sensitivity.bins import Binned, Bins
from keras_sensitivity.definition import Definition
from keras_sensitivity.features import image_shape
from keras_sensitivity.flatness import FlatHeads
from keras_sensitivity.importance import Importance
from keras_sensitivity.look import Look
from keras_sensitivity.losses import LossChanges
from keras_sensitivity.moments import Means, Mergeable, Moments
from keras_sensitivity.networks.network import MOST_DERIVATIVES, Batch, Entries, Network, Part, Seen, SeenRows
from keras_sensitivity.plan import Options, Plan, filled_batches
from keras_sensitivity.redundancy import column_moments
from keras_sensitivity.rows.chunks import Chunk
from keras_sensitivity.rows.rows import Rows, read
from keras_sensitivity.swapping import Swapping
from keras_sensitivity.swaps import MOST_SWAPPED, Swaps, check_swaps, chosen, columns_by_feature, columns_by_lag

__all__ = ["Measurement", "merged"]

Array = np.ndarray[Any, Any]

# More rows than this whose derivatives are all exactly 0 behind a softmax or sigmoid are worth a warning.
SATURATED_SHARE = 0.05

# Percent of a background with values where no row was measured, at the most, that are worth no warning.
MOST_UNSEEN = 20

# Fewer different rows than this are too few to make noise of.
DIFFERENT_SHARE = 0.1

# Rows by which bins are made at the most, and entries whose squared derivatives are kept beside swaps.
BIN_ROWS, JOINT_ENTRIES = 8192, 256

# Rows and features of which derivatives are compared with real changes, and passes for it, at the most.
CHECK_ROWS, MOST_CHECKED, MOST_CHECK_PASSES = 512, 64, 64

# Values whose places are kept from look to look at the most, 12 bytes each.
MOST_PLACES = 2**24

# Seconds of a look that are told before it is taken.
LONG = 10.0

# Fewer rows than this tell nothing.
FEWEST_CHECK_ROWS = 32


class Measurement:
    """Looks at a network as often as wanted; making one refuses whatever can be refused before the first look.

    Args:
        network: What is looked at.
        rows: The rows.
        definition: What is differentiated, and how it is scaled.
        options: As in `measure`.
        background: Rows that give the scale, the bins and the partners of swaps; None: the rows themselves.
        sample: Rows that give the bins and the partners, where the others are no more than a part of them; None: the
            background's, or the rows' own.
        y: The labels of all rows of x; None: how the loss changes is not looked at.
    """

    def __init__(
        self,
        network: Network,
        rows: Rows,
        *,
        definition: Definition,
        options: Options,
        background: Rows | None = None,
        sample: Chunk | None = None,
        y: Any = None,
    ) -> None:
        self._sample = sample
        self._plan = plan = Plan(
            network.look_pass, network, rows, definition=definition, options=options, background=background
        )
        self._network = network
        self._values: Plan[tuple[Moments, Entries | None]] | None = None
        self._definition = definition
        self._warned: set[str] = set()
        self._bins: Bins | None = None
        self._binned: list[Binned] = []
        self._background: dict[str, Mergeable] = {}
        self._is_repeated = False
        self._swapping: Swapping | None = None
        self.swapped: tuple[int, ...] = ()
        self._is_wide = definition.scale == "path" and plan.traced.num_derivatives > MOST_DERIVATIVES
        if background is not None and isinstance(definition.scale, str):
            self._values = Plan(network.input_pass, network, background, definition=definition, options=options)
        check_swaps(definition, plan.blocks, plan.features)
        if network.takes_differences and not definition.may_swap:
            _refuse_words(definition, plan)
        self._pool = rows if background is None else background
        self._losses = None if y is None else LossChanges(network, plan, rows, y)
        self._is_ready = False
        if self._pool.num_rows is not None:
            self._make_ready()  # of a stream rows are read, which is for the first look to do

    def _make_ready(self) -> None:
        """Fix the bins, and what is swapped with which rows."""
        self._is_ready = True
        plan, definition = self._plan, self._definition
        if definition.scale != "path" and not definition.may_swap:
            return
        sample = self._pool.sample() if self._sample is None or self._values is not None else self._sample
        if definition.scale == "path" and not self._is_wide:
            self._bins = _bins(plan.traced.parts, plan.traced.num_probes, sample)
        # What takes differences takes two calls for them, and has none of codes.
        most = None if self._network.takes_differences else MOST_SWAPPED
        self.swapped = chosen(definition, plan.blocks, plan.features, sample, most=most)
        if self.swapped and sample.lengths is not None:
            errors.refuse_swapped_lengths()
        if self.swapped:
            columns = columns_by_feature(plan.blocks, plan.features)
            with_lags = definition.change == "swap" and not plan.traced.is_masked
            lags = columns_by_lag(plan.blocks) if with_lags else ()
            is_own, is_shuffled = self._pool is plan.rows, self._sample is not None and self._values is None
            names = [plan.features.names[index] for index in self.swapped]
            swaps = Swaps([columns[index] for index in self.swapped], lags, sample, is_own, is_shuffled, names=names)
            self._swapping = Swapping(self._network, plan, swaps, plan.first_batch)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, shape (num_features,)."""
        return self._plan.features.names

    @property
    def description(self) -> str:
        """What a look does, in one line."""
        count = self._plan.traced.num_derivatives
        wide = f" A row has {count:,} derivatives, too many for a path: scale='std'." if self._is_wide else ""
        swapped = f" Features swapped with other rows: {len(self.swapped)}." if self.swapped else ""
        return self._plan.description + self._estimated + wide + swapped

    @property
    def _estimated(self) -> str:
        """That the sum over the units is estimated, and how well; "" if it is not."""
        traced, num_rows = self._plan.traced, self._plan.rows.num_rows
        if traced.num_draws is None:
            return ""
        error = "" if num_rows is None else f" of about {shares.estimation_error(num_rows, traced.num_draws):.1g} %"
        return (
            f" The sum over the {len(traced.units):,} units is estimated by {traced.num_draws} random signs a row, "
            f"with a standard error{error} (Importance.estimation_error)."
        )

    def rehearse(self) -> None:
        """Run a first batch, so that most of what can fail does so now; it is only warned of a look that takes long."""
        start = time.perf_counter()
        self._plan.rehearse()
        self._warn_if_slow(time.perf_counter() - start)

    def renew(self) -> None:
        """Take the network as it is now, where it may have changed since the last look."""
        self._is_repeated = True
        self._plan.renew()
        if self._values is not None:
            self._values.renew()
            self._background = {}
        if self._swapping is not None:
            self._swapping.renew()

    def look(self, progress: bool = False) -> Importance:
        """Measure the network."""
        look, flat = self._look_at_rows(progress)
        return self._importance(look, flat)

    def part(self, x: Any, weights: Any) -> Look:
        """The look at other rows of the same columns; those at all parts merge, see `merged`."""
        self._plan.take(read(x, self._network, weights=weights))
        return self._look_at_rows(progress=False)[0]

    def importance(self, look: Look) -> Importance:
        """The importance of a look that was merged of those at parts."""
        return self._importance(look, FlatHeads(self._network, self._plan))

    def _look_at_rows(self, progress: bool) -> tuple[Look, FlatHeads]:
        """The look at all rows, and of which heads they are flat."""
        plan = self._plan
        if not self._is_ready:
            self._make_ready()
        num_features = len(self.feature_names)
        tally = None if self._swapping is None else self._swapping.tally()
        flat = FlatHeads(self._network, plan)
        look: Look | None = None
        start = time.perf_counter()
        for index, (batch, weights, seen) in enumerate(plan.run(progress)):
            part = self._look(seen, index)
            look = part if look is None else merged(look, part)
            flat.add(seen.rows, weights)
            if tally is not None:
                if [leaf.shape for leaf in batch] != [leaf.shape for leaf in plan.first_batch]:
                    errors.refuse_swapped_lengths()
                with plan.naming_rows(index):
                    tally.add(batch, weights, self._h(seen.rows) if len(self.swapped) < num_features else None)
            if index == 0 and plan.num_batches != 1:
                self._warn_if_slow(time.perf_counter() - start)
        assert look is not None
        moments = {**look, **self._of_background(), **(tally.moments() if tally else {})}
        if self._losses is not None:
            moments["loss_changes"] = self._losses.means()
        return Look(moments), flat

    def _importance(self, look: Look, flat: FlatHeads) -> Importance:
        """What the look says, and a warning of what it does not."""
        plan = self._plan
        importance = Importance(
            look,
            features=plan.features,
            image_shape=image_shape(plan.blocks),
            num_lags=None if plan.traced.num_lags is None else look.num_lags,
            units=plan.units,
            mode=plan.traced.mode,
            num_draws=plan.traced.num_draws,
            definition=self._definition,
            swapped=self.swapped,
        )
        self._warn(importance, flat)
        return importance

    def checked(self, importance: Importance) -> Importance:
        """The same importance, with real changes on a few rows beside it, and a warning where they differ much.

        It costs as much as a look at 512 rows for each of the features whose derivative was taken, up to 64; the pass
        is that of the looks, so that nothing is traced anew, but for networks with probes.
        """
        plan, columns = self._plan, columns_by_feature(self._plan.blocks, self._plan.features)
        is_table = all(block.num_lags is None and len(block.shape) < 3 for block in plan.blocks)
        largest = np.argsort(-importance.features.to_numpy(), kind="stable")
        asked = [index for index in largest if columns[index] and index not in self.swapped][:MOST_CHECKED]
        num_rows = min(CHECK_ROWS, MOST_CHECK_PASSES * plan.batch_size // (1 + len(asked)))
        is_comparable = is_table and isinstance(self._definition.scale, str) and asked and not plan.traced.mixes_rows
        if not is_comparable or num_rows < FEWEST_CHECK_ROWS or self._network.fixed_batch_size is not None:
            return importance
        rows, chunk = self._pool.some(num_rows)
        names = [plan.features.names[index] for index in asked]
        swaps = Swaps([columns[index] for index in asked], (), chunk, is_own=True, names=names)
        if plan.traced.num_probes or self._network.takes_differences:  # whose noise is to stay; which take calls
            partners, weights = swaps.partners(np.arange(len(chunk))), chunk.row_weights
            outputs = Swapping(self._network, plan, swaps, rows).run(rows, weights, partners)
        else:
            outputs = self._outputs(list(swaps.swapped(rows)))
        squares = np.square(outputs[1:] - outputs[0]) / 2
        means = np.full((len(plan.traced.units), len(columns)), np.nan)
        means[:, asked] = np.average(squares, axis=1, weights=chunk.row_weights).T
        importance = importance.with_check(Means(np.asarray(chunk.row_weights.sum()), means))
        agreement = importance.agreement
        if agreement is not None and agreement["differs"].any():
            differing = agreement[agreement["differs"]].drop(columns="differs")
            self._warn_once(errors.warn_differences, list(differing.itertuples(name=None)), len(chunk))
        return importance

    def _outputs(self, batches: Sequence[Batch]) -> Array:
        """What is differentiated, of batches of one size, shape (num_batches, size, num_units)."""
        size = self._plan.batch_size
        leaves = tuple(np.concatenate(every) for every in zip(*batches, strict=True))
        found = [self._plan.traced(batch, np.ones(size))[0].outputs for batch in filled_batches(leaves, size)]
        outputs = np.concatenate(found)[: len(leaves[0])].astype(float)
        return outputs.reshape(len(batches), -1, outputs.shape[1])

    def _look(self, seen: Seen, index: int) -> Look:
        """The look at a batch, with what is in the bins, and beside probes how the columns go together."""
        if seen.rows is None:
            return seen.look
        moments: dict[str, Mergeable] = {}
        num_probes = self._plan.traced.num_probes
        if num_probes:
            moments |= column_moments(seen.rows, seen.rows.derivatives.shape[-1] - num_probes)
        if self._bins is None:
            return Look({**seen.look, **moments})
        binned = self._placed(self._bins, seen.rows.entries, index)
        are_signs = self._plan.traced.num_draws is not None
        moments["path"] = binned.mean_squares(seen.rows.derivatives, are_signs=are_signs)
        if seen.rows.same_step is not None:
            moments["same_step_path"] = binned.mean_squares(seen.rows.same_step, are_signs=are_signs)
        if self._values is None:
            moments["spread"] = binned.moments
        return Look({**seen.look, **moments})

    def _placed(self, bins: Bins, entries: Entries, index: int) -> Binned:
        """The entries of a batch in their bins; kept for the next look, where there are several at the same rows."""
        if index < len(self._binned) and self._binned[index].holds(entries):
            return self._binned[index]
        binned = bins.place(entries)
        so_far = sum(each.places.size for each in self._binned)
        if self._is_repeated and index == len(self._binned) and so_far + binned.places.size <= MOST_PLACES:
            self._binned.append(binned)
        return binned

    def _of_background(self) -> dict[str, Mergeable]:
        """What the background says of the entries, which are what they were until the network changes."""
        if self._values is None or self._background:
            return self._background
        moments, spread = [], []
        for inputs, entries in self._values.results():
            moments.append(inputs.pool(axis=0))
            if self._bins is not None and entries is not None:
                spread.append(self._bins.place(entries).moments)
        found: dict[str, Mergeable] = {"background": functools.reduce(Moments.merge, moments)}
        if spread:
            found["spread"] = functools.reduce(Moments.merge, spread)
        self._background = found
        return found

    def _h(self, rows: SeenRows | None) -> Array | None:
        """The squared derivatives of each row, summed over the units, as in "squares"; None of too many."""
        if rows is None:
            return None
        derivatives = rows.derivatives if rows.same_step is None else rows.same_step
        count = derivatives.shape[-1] - self._plan.traced.num_probes
        if count * derivatives.shape[2] > JOINT_ENTRIES:
            return None
        h = np.square(derivatives, dtype=np.float64).sum(axis=0) * (rows.entries.weights > 0)
        return np.asarray(h[..., :count].reshape(len(h), -1))

    def _warn(self, importance: Importance, heads: FlatHeads) -> None:
        """Warn, once of each, of what makes the numbers mean something else than they seem to."""
        traced = self._plan.traced
        if self._is_wide and any(len(part.shape) < 3 for part in traced.parts):  # images were never scaled otherwise
            self._warn_once(errors.warn_too_wide, traced.num_derivatives, MOST_DERIVATIVES)
        for warning, *arguments in self._plan.remarks:
            self._warn_once(warning, *arguments)
        if importance.num_noise_values < DIFFERENT_SHARE * importance.num_samples:
            self._warn_once(errors.warn_alike_to_probes, importance.num_noise_values, importance.num_samples)
        unseen = importance.unseen
        if (unseen > MOST_UNSEEN).any():
            self._warn_once(errors.warn_unseen_values, dict(unseen[unseen > MOST_UNSEEN]))
        if not self._warned & {"warn_saturated", "warn_dead_units"}:
            self._warn_of_flat_rows(importance, heads)

    def _warn_of_flat_rows(self, importance: Importance, heads: FlatHeads) -> None:
        """Warn of rows at which nothing moves the output, and say why."""
        saturated, dead = heads.shares(importance.flat_part, SATURATED_SHARE)
        if saturated:
            self._warn_once(errors.warn_saturated, saturated)
        if dead:
            self._warn_once(errors.warn_dead_units, dead)
        if saturated or dead or importance.features.any():
            return
        if importance.flat_part == 1:
            self._warn_once(errors.warn_ignores_everything)
        elif self._values is not None and self._pool.num_rows == 1:
            self._warn_once(errors.warn_constant, "the background, a single row")
        elif importance.is_constant.all():
            self._warn_once(errors.warn_constant)
        else:
            self._warn_once(errors.warn_ignores_newest_step)

    def _warn_if_slow(self, seconds_of_batch: float) -> None:
        """Warn of a look that takes long, before it is taken."""
        seconds = seconds_of_batch * (self._plan.num_batches or 1)
        if seconds > LONG:
            self._warn_once(errors.warn_slow, seconds, self._plan.rows.num_rows, len(self._plan.traced.units))

    def _warn_once(self, warning: Callable[..., None], *arguments: Any) -> None:
        if warning.__name__ not in self._warned:
            self._warned.add(warning.__name__)
            warning(*arguments)


def _refuse_words(definition: Definition, plan: Plan[Any]) -> None:
    """Refuse to take differences of words."""
    words = [name for block in plan.blocks if not block.is_number for name in block.columns]
    if words:
        errors.refuse_words_to_move(words, f"change={definition.change!r}, scale={definition.scale!r}")


def merged(one: Look, other: Look) -> Look:
    """The look at the rows of both, of which some may have more lags."""
    most = max(one.num_lags, other.num_lags)
    return one.with_lags(most).merge(other.with_lags(most))


def _bins(parts: Sequence[Part], num_probes: int, sample: Chunk) -> Bins:
    """Bins of numbers by the rows of a sample, of noise by its distribution; codes have one."""
    count = min(len(sample), BIN_ROWS)
    chosen_rows = sample.part(np.sort(np.random.default_rng(0).choice(len(sample), count, replace=False)))
    values: list[Array | None] = []
    for part in parts:
        if part.is_number:
            leaves = [rows.leaves[part.sources[0]].reshape(-1, part.num_entries) for rows in chosen_rows.by_length()]
            values += list(np.concatenate(leaves).T)
        else:
            values += [None] * part.num_entries
    noise = scipy.special.ndtri((np.arange(count) + 0.5) / count)
    return Bins.of(values + [noise] * num_probes)
