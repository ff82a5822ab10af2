"""The route of a model: how much of its traffic each version gets, and which version shadows it.

A route is data in the registry; this one router applies it in Lambda, in the container and on the laptop.
No pydantic here: the hot path imports it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelmill.core.errors import ModelmillError


@dataclass(frozen=True, slots=True)
class Route:
    """`weights` maps version → share, summing to 1; `shadow` names a version that sees the traffic unanswered."""

    weights: Mapping[str, float] = field(default_factory=dict)
    shadow: str | None = None

    def check(self, known: set[str]) -> "Route":
        """Self, or raises ModelmillError (`bad_route`) if a weight or a version is not usable."""
        named = set(self.weights) | ({self.shadow} if self.shadow else set())
        missing = sorted(named - known)
        if missing:
            raise ModelmillError("bad_route", f"no version {missing[0]!r}", hint=f"known: {', '.join(sorted(known))}")
        if not self.weights or any(not 0 < weight <= 1 for weight in self.weights.values()):
            raise ModelmillError("bad_route", "each weight must be above 0 and at most 1")
        if abs(sum(self.weights.values()) - 1) > 1e-6:
            raise ModelmillError("bad_route", f"the weights sum to {sum(self.weights.values()):g}, not 1")
        return self

    def choose(self, key: str) -> str:
        """The version for a caller: the same `key` always gets the same version while the route stands."""
        if len(self.weights) == 1:
            return next(iter(self.weights))
        digest = hashlib.sha256(key.encode(errors="surrogatepass")).digest()
        point, reached = int.from_bytes(digest[:8], "big") / 2**64, 0.0
        for version, weight in sorted(self.weights.items()):
            reached += weight
            if point < reached:
                return version
        return max(self.weights)  # the shares sum to 1 but for rounding

    def as_dict(self) -> dict[str, Any]:
        """`{"weights": {…}, "shadow": …}`."""
        return {"weights": dict(self.weights), "shadow": self.shadow}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "Route":
        """The inverse of `as_dict`."""
        return cls({str(v): float(w) for v, w in body["weights"].items()}, body.get("shadow"))
