"""Formulas that keep their digits on the whole range of a type.

The smooth ones take z and use a = |z| and e = exp(−a) ≤ 1, so that nothing overflows and no two nearly equal numbers
are subtracted: σ(z)σ(−z) = e/(1 + e)² where the textbook has y(1 − y). Where a factor multiplies an exponential that
may be subnormal, the product is formed at exp(46 log 2 − a) first and brought down by 2⁻⁴⁶ last, so that only one
rounding happens in the subnormal range (`logistic.scaled_exp`).

A budget of 4 ulps is 4 to 8 roundings, so they are counted: factors near 1 are written 1 − x, whose small x may be
rounded at leisure; 1 + 2e + e² is preferred to (1 + e)²; and a known rounding error (`rest`, the part of an exponent
that did not fit) enters where something small is added anyway, never as a factor 1 + r.
"""
