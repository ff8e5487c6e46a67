"""Two explicit passes over a junction forest, compiled to a straight list of array operations.

Collect (leaves to roots) and distribute (roots to leaves) are the Hugin scheme (Jensen, Lauritzen
& Olesen 1990):

.. math::
    t_c = \\prod_{f \\in c} \\phi_f \\prod_{k \\in ch(c)} m_k, \\quad
    m_c = \\sum_{res(c)} t_c, \\quad
    b_c = t_c \\, \\Bigl(\\sum_{p \\setminus s} b_p\\Bigr) / m_c

Compiling allocates every table once and records (operation, operands and output); a run fills in
the observed states and plays the record. A subtree that holds nothing but the conditional
distributions of its own variables sends the message 1 and is not visited on the way up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from inference.exact.bounds import (
    SAFE_LOG,
    SAFE_LOG_RESCALED,
    UnderflowRisk,
    log_smallest,
    lowest_logs,
    unit_messages,
)
from inference.exact.plan import Group
from inference.exact.product import Operand, Operation, fold
from inference.exact.semiring import SUM_LINEAR, Semiring
from inference.exact.structure import Structure, bits
from inference.exact.sums import sum_operations

__all__ = ["TreeProgram"]

#: Products of factors up to this many entries are kept between runs.
KEPT_PRODUCT = 1 << 17
#: Several sums of a table this large start from intermediate sums smaller by this factor.
LARGE_TABLE = 1 << 14
SHARED_SHRINK = 16


class TreeProgram:
    """One group of a plan bound to tables; runs for any states of the observed variables.

    Arguments:
        group: tree, homes of the factors, reads.
        structure: cardinalities and scopes.
        observed: variables whose states are given at run time.
        targets: the query's target scopes, without their observed variables.
        outputs: per target the flat array that its marginal is written to.
        tables: factor tables, in the semiring's scale; linear ones have entries at most one.
        lows: per factor the logarithm of its smallest positive entry.
        semiring: what product and total mean.
    """

    def __init__(
        self,
        group: Group,
        structure: Structure,
        observed: frozenset[int],
        targets: Sequence[tuple[int, ...]],
        outputs: Sequence[np.ndarray],
        tables: Sequence[np.ndarray],
        lows: Sequence[float],
        semiring: Semiring = SUM_LINEAR,
    ) -> None:
        self.group = group
        self.tree = group.tree
        self.semiring = semiring
        self._structure = structure
        self._observed = observed
        self._targets = targets
        self._outputs = outputs
        count = len(self.tree.cliques)
        self._axis = [{v: i for i, v in enumerate(c)} for c in self.tree.cliques]
        self._slices: list[tuple[np.ndarray, np.ndarray, tuple[int, ...]]] = []
        self._weights: dict[int, tuple[np.ndarray, int]] = {}
        self._operands: list[list[Operand]] = [[] for _ in range(count)]
        self._own = [0.0] * count
        self.tables: list[np.ndarray] = [np.empty(0)] * count
        self.messages: list[np.ndarray] = [np.empty(0)] * count
        self._fixed = [False] * count
        self._fixed_message = [False] * count
        self._scratch = np.empty(0)
        self._place(tables, lows)
        self.unit, self._growth = unit_messages(group, structure, observed, possible=semiring.sums)
        self._lowest = lowest_logs(group.tree, self._own, self.unit)
        self._margin = min(self._lowest, default=0.0)
        self._steps: list[tuple[int, list[Operation]]] = []
        self._compile_collect()
        self._collect = [operation for _, step in self._steps for operation in step]
        self._distribute: list[Operation] | None = None
        self.roots = [
            c for c, above in enumerate(self.tree.parents) if above < 0 and not self.unit[c]
        ]

    # Placing factors -------------------------------------------------------------------------

    def _frame(self, clique: int, variables: Sequence[int]) -> tuple[int, list[int]]:
        """Bit set and broadcast shape of some variables of a clique."""
        axis, full = self._axis[clique], self.tree.shapes[clique]
        shape, mask = [1] * len(full), 0
        for v in variables:
            i = axis[v]
            shape[i] = full[i]
            mask |= 1 << v
        return mask, shape

    def _place(self, tables: Sequence[np.ndarray], lows: Sequence[float]) -> None:
        """Align every factor and likelihood with its clique; sliced factors become buffers."""
        observed, scopes = self._observed, self._structure.scopes
        for factor, clique in self.group.homes:
            self._own[clique] += lows[factor]
            # Axes of length one are dropped: arrays have room for 64 axes only.
            scope, axis = self._structure.several_states(factor), self._axis[clique]
            table = tables[factor]
            if len(scope) < len(scopes[factor]):
                table = table.reshape([n for n in table.shape if n > 1])
            live = [i for i, v in enumerate(scope) if v not in observed]
            if len(live) > 1:
                live.sort(key=lambda i, scope=scope, axis=axis: axis[scope[i]])
            mask, shape = self._frame(clique, [scope[i] for i in live])
            if len(live) == len(scope):
                array = table.transpose(live).reshape(shape)
                self._operands[clique].append(Operand(mask, array, True))
                continue
            cut = [i for i, v in enumerate(scope) if v in observed]
            source = table.transpose(cut + live)
            buffer = np.empty(shape)
            view = buffer.reshape(source.shape[len(cut) :])
            self._slices.append((view, source, tuple([scope[i] for i in cut])))
            self._operands[clique].append(Operand(mask, buffer, False))
        for variable, clique in self.group.weights:
            mask, shape = self._frame(clique, [variable])
            buffer = np.full(shape, self.semiring.one)
            self._weights[variable] = (buffer.reshape(-1), clique)
            self._operands[clique].append(Operand(mask, buffer, False))

    # Recording the passes --------------------------------------------------------------------

    def _compile_collect(self) -> None:
        """Record the upward pass; what no evidence can change is computed here and now."""
        tree, semiring = self.tree, self.semiring
        total = semiring.total
        for c, parent in enumerate(tree.parents):
            operations = self._compile_table(c)
            if not self.unit[c]:
                residual = tree.residuals[c]
                states = math.prod(tree.shapes[c][residual:])
                message = np.empty(states)
                self.messages[c] = message
                table = self.tables[c].reshape(-1, states)
                fixed = self._fixed[c] and self._safe_to_fix(c)
                self._fixed_message[c] = fixed
                if fixed:
                    total(table, 0, None, message)
                    if parent >= 0 and semiring.linear:
                        self._own[parent] += log_smallest(message)
                else:
                    operations.append((total, (table, 0, None, message)))
                if parent >= 0:
                    mask, shape = self._frame(parent, tree.cliques[c][residual:])
                    self._operands[parent].append(Operand(mask, message.reshape(shape), fixed))
            if operations:
                self._steps.append((c, operations))
        self._operands = []

    def _safe_to_fix(self, c: int) -> bool:
        """Whether an unscaled table of the subtree below keeps every entry."""
        if not self.semiring.linear:
            return True
        return self._lowest[c] >= SAFE_LOG and self._growth <= -SAFE_LOG

    def _compile_table(self, c: int) -> list[Operation]:
        """Record the product of everything in clique ``c``; constants are multiplied now."""
        shape, semiring = self.tree.shapes[c], self.semiring
        fixed = [x for x in self._operands[c] if x.fixed]
        moving = [x for x in self._operands[c] if not x.fixed]
        if len(fixed) > 1:
            fold(fixed, shape, semiring.product, KEPT_PRODUCT if moving else None)
        pool = fixed + moving
        recorded = fold(pool, shape, semiring.product)
        if not pool:
            pool.append(Operand(0, np.full([1] * len(shape), semiring.one), True))
        last = pool[0]
        table = last.array
        if table.shape != shape or not table.flags.c_contiguous:
            table = np.empty(shape)
            if last.fixed:
                table[...] = last.array
            else:
                recorded.append((semiring.product, (last.array, semiring.one, table)))
        self.tables[c] = table
        self._fixed[c] = last.fixed
        return recorded

    def _read_cliques(self) -> dict[int, list[int]]:
        """Where to read each target: next to the smallest separator that holds it, if any."""
        tree = self.tree
        best: dict[int, tuple[int, int]] = {}
        for c, parent in enumerate(tree.parents):
            if parent >= 0:
                residual = tree.residuals[c]
                size = math.prod(tree.shapes[c][residual:])
                for v in tree.cliques[c][residual:]:
                    if v not in best or size < best[v][0]:
                        best[v] = (size, parent)
        everywhere = 2 * len(self.group.reads) > len(tree.cliques)
        found: dict[int, list[int]] = {}
        for target, clique in self.group.reads:
            scope = self._targets[target]
            if everywhere and len(scope) == 1 and scope[0] in best:
                clique = best[scope[0]][1]
            found.setdefault(clique, []).append(target)
        return found

    def _compile_distribute(self) -> list[Operation]:
        """Record the downward pass and the reads; branches nobody reads from are left out."""
        tree = self.tree
        reads = self._read_cliques()
        needed = [c in reads for c in range(len(tree.cliques))]
        for c, parent in enumerate(tree.parents):
            if needed[c] and parent >= 0:
                needed[parent] = True
        kept = [table.size for c, table in enumerate(self.tables) if self._fixed[c] and needed[c]]
        self._scratch = np.empty(max(kept, default=0))
        recorded: list[Operation] = []
        inflow: dict[int, np.ndarray] = {}
        for c in reversed(range(len(tree.cliques))):
            if needed[c]:
                children = [k for k in tree.children[c] if needed[k]]
                recorded += self._compile_belief(c, children, reads.get(c, ()), inflow)
        return recorded

    def _compile_belief(
        self, c: int, children: Sequence[int], reads: Sequence[int], inflow: dict[int, np.ndarray]
    ) -> list[Operation]:
        """Record the belief of one clique and the sums that its children and readers take.

        Each sum starts from the smallest table at hand that still holds its variables, and the
        belief itself is only formed when some sum needs it.
        """
        tree = self.tree
        wanted: list[tuple[int, list[int], np.ndarray]] = []
        for k in children:
            separator = tree.cliques[k][tree.residuals[k] :]
            mask, shape = self._frame(c, separator)
            inflow[k] = np.empty(math.prod(shape))
            wanted.append((mask, shape, inflow[k]))
        for target in reads:
            mask, shape = self._frame(c, self._targets[target])
            wanted.append((mask, shape, self._outputs[target]))
        for mask in self._shared_sums(c, [mask for mask, _, _ in wanted]):
            _, shape = self._frame(c, bits(mask))
            wanted.append((mask, shape, np.empty(math.prod(shape))))
        wanted.sort(key=lambda item: -item[2].size)
        recorded, sources = self._sources(c, [mask for mask, _, _ in wanted], inflow)
        for mask, shape, out in wanted:
            fitting = [s for s in sources if not mask & ~s.mask]
            source = min(fitting, key=lambda s: s.array.size)
            array = out.reshape(shape)
            if self.semiring.linear:
                recorded += sum_operations(source.array, shape, out)
            else:
                axes = tuple([i for i, n in enumerate(shape) if n != source.array.shape[i]])
                recorded.append((self.semiring.total, (source.array, axes, None, array, True)))
            sources.append(Operand(mask, array, False))
        return recorded

    def _shared_sums(self, c: int, masks: Sequence[int]) -> list[int]:
        """Scopes of intermediate sums from which many sums of a large clique start.

        A hub with hundreds of neighbours would otherwise be read once for each of them.
        """
        size = self.tree.sizes[c]
        if len(masks) < 4 or size < LARGE_TABLE:
            return []
        cards, limit = self._structure.cards, size // SHARED_SHRINK

        def entries(mask: int) -> int:
            return math.prod([cards[v] for v in bits(mask)])

        pools: list[list[int]] = []
        for mask in sorted(masks, key=entries, reverse=True):
            for pool in pools:
                if entries(pool[0] | mask) <= limit:
                    pool[0] |= mask
                    pool.append(mask)
                    break
            else:
                if entries(mask) <= limit:
                    pools.append([mask, mask])
        return [pool[0] for pool in pools if len(pool) > 2 and pool[0] not in masks]

    def _sources(
        self, c: int, masks: Sequence[int], inflow: dict[int, np.ndarray]
    ) -> tuple[list[Operation], list[Operand]]:
        """Record what the sums of clique ``c`` are taken from."""
        tree, table, semiring = self.tree, self.tables[c], self.semiring
        clique, residual = tree.cliques[c], tree.residuals[c]
        full = sum([1 << v for v in clique])
        if tree.parents[c] < 0:
            return [], [Operand(full, table, False)]
        recorded: list[Operation] = []
        arriving = inflow[c]
        ratio = arriving
        if not self.unit[c]:
            message = self.messages[c]
            ratio = np.empty(len(message))
            if self._fixed_message[c]:
                # Its zeros must stay zero for the next upward pass.
                message = np.maximum(message, semiring.floor)
            else:
                recorded.append((partial(np.maximum, out=message), (message, semiring.floor)))
            recorded.append((semiring.quotient, (arriving, message, ratio)))
        above, shape = self._frame(c, clique[residual:])
        sources = [Operand(above, arriving.reshape(shape), False)]
        inside, shape = self._frame(c, clique[:residual])
        flat = table.reshape(-1, len(ratio))
        if semiring.linear and all(not m & ~inside or not m & ~above for m in masks):
            if any(mask & ~above for mask in masks):
                marginal = np.empty(len(flat))
                recorded.append((np.dot, (flat, ratio, marginal)))
                sources.append(Operand(inside, marginal.reshape(shape), False))
        else:
            # A belief is read at once: those that may not overwrite their table share a buffer.
            belief = table
            if self._fixed[c]:
                belief = self._scratch[: table.size].reshape(table.shape)
            recorded.append((semiring.product, (flat, ratio, belief.reshape(flat.shape))))
            sources.append(Operand(full, belief, False))
        return recorded, sources

    # Running ---------------------------------------------------------------------------------

    def collect(self, states: Mapping[int, int], weights: Mapping[int, np.ndarray]) -> float:
        """Run the upward pass; return log Z of the group, -inf where the evidence is impossible.

        Arguments:
            states: state of every observed variable.
            weights: likelihood of every weighted variable in the semiring's scale, the largest
                entry being its one.

        Raises:
            UnderflowRisk: linear tables cannot be trusted for these numbers.
        """
        for view, source, variables in self._slices:
            view[...] = source[tuple([states[v] for v in variables])]
        low = self._margin
        lows: dict[int, float] = {}
        linear = self.semiring.linear
        for variable, (buffer, clique) in self._weights.items():
            vector = weights[variable]
            buffer[...] = vector
            if linear:
                lowest = log_smallest(vector)
                low += lowest
                lows[clique] = lows.get(clique, 0.0) + lowest
        if not linear or (low >= SAFE_LOG and self._growth <= -SAFE_LOG):
            for function, arguments in self._collect:
                function(*arguments)
            return self._log_total(0.0)
        return self._log_total(self._collect_rescaled(lows))

    def _log_total(self, log_scale: float) -> float:
        """Combine the roots' totals."""
        total = log_scale
        for root in self.roots:
            value = float(self.messages[root][0])
            if self.semiring.linear:
                value = math.log(value) if value > 0 else -math.inf
            total += value
        return total

    def _collect_rescaled(self, lows: Mapping[int, float]) -> float:
        """Upward pass with every message scaled to maximum one; return the log of the scales.

        Before each product its smallest possible positive entry, (smallest of the clique's
        factors) x (smallest of each arriving message), must be representable.
        """
        bounds = [own + lows.get(c, 0.0) for c, own in enumerate(self._own)]
        scales = [0.0] * len(bounds)
        divided: list[tuple[int, float]] = []
        for c, operations in self._steps:
            if bounds[c] < SAFE_LOG_RESCALED:
                raise UnderflowRisk
            for function, arguments in operations:
                function(*arguments)
            if self.unit[c]:
                # Its message is one whatever the scales below it were; so is its table's total.
                self.tables[c] *= math.exp(scales[c])
                continue
            message = self.messages[c]
            largest = message.max()
            if largest <= 0:
                return -math.inf
            message /= largest
            scales[c] += math.log(largest)
            parent = self.tree.parents[c]
            if parent >= 0:
                bounds[parent] += log_smallest(message)
                scales[parent] += scales[c]
                divided.append((c, largest))
        # The downward pass divides a table by what it sums to, not by what it sent: otherwise
        # the beliefs of a long chain would drift out of range.
        for c, largest in divided:
            self.messages[c] *= largest
        return sum([scales[root] for root in self.roots])

    def distribute(self) -> None:
        """Run the downward pass and write every read, up to a constant per component."""
        if self._distribute is None:
            self._distribute = self._compile_distribute()
        for function, arguments in self._distribute:
            function(*arguments)
