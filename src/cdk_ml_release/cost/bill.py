"""The bill: everything that a cloud assembly will cost, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .assembly import Assembly, CostError
from .assumptions import Assumptions
from .line import Total, total
from .prices import DEFAULT_REGION, prices
from .release import Release, releases
from .standing import Inventory


@dataclass(frozen=True, kw_only=True)
class Bill:
    """What an app costs."""

    regions: list[str]
    """Where its stacks go."""
    region_assumed: bool
    """Whether a stack does not say where it goes, and the default region was taken."""
    assumptions: Assumptions
    inventory: Inventory
    releases: list[Release]

    @property
    def standing(self) -> Total:
        """A month without a release or a request."""
        return total(self.inventory.lines)

    @property
    def requests(self) -> Total:
        """The requests of a month."""
        return total(self.inventory.requests)

    @property
    def month(self) -> Total:
        """A month with its releases and its requests."""
        whole = self.standing + self.requests
        for release in self.releases:
            whole += release.total.times(self.assumptions.releases)
        return whole

    def to_data(self) -> dict[str, Any]:
        """The bill as JSON has it: lists, dictionaries, numbers and strings."""
        return {
            "regions": self.regions,
            "region_assumed": self.region_assumed,
            "assumptions": asdict(self.assumptions),
            "standing": {"lines": _lines(self.inventory.lines), "total": asdict(self.standing)},
            "requests": {"lines": _lines(self.inventory.requests), "total": asdict(self.requests)},
            "releases": [
                {
                    "pipeline": release.pipeline,
                    "lines": _lines(release.lines),
                    "total": asdict(release.total),
                    "waiting_minutes": release.waiting_minutes,
                    "waiting": asdict(total(release.waiting)),
                }
                for release in self.releases
            ],
            "month": asdict(self.month),
            "paid_by_use": dict(self.inventory.by_use),
            "free": dict(self.inventory.free),
        }


def estimate(folder: Path, assumptions: Assumptions | None = None) -> Bill:
    """Read a cloud assembly and price what is in it.

    Args:
        folder: What ``cdk synth`` wrote, such as ``cdk.out``.
        assumptions: What no template says. Default: the documented ones.

    Raises:
        CostError: if it is no assembly, or an assumption names a job that it does not have.
    """
    assembly = Assembly(folder)
    assumed = Assumptions() if assumptions is None else assumptions
    made = releases(assembly, assumed)
    _check_jobs(assumed, made)
    templates = [*assembly.templates, *(template for release in made for template in release.deployed)]
    inventory = Inventory()
    for template in templates:
        inventory.add(template, prices(template.region or DEFAULT_REGION), assumed)
    return Bill(
        regions=sorted({template.region or DEFAULT_REGION for template in templates}),
        region_assumed=any(template.region is None for template in templates),
        assumptions=assumed,
        inventory=inventory,
        releases=made,
    )


def _check_jobs(assumed: Assumptions, made: list[Release]) -> None:
    there = sorted({job for release in made for job in release.jobs})
    for name in assumed.minutes_by_job:
        if name not in there:
            names = ", ".join(there) if there else "none"
            raise CostError(f"'--job-minutes' must name a job of the pipeline, got '{name}'; its jobs are: {names}")


def _lines(lines: list[Any]) -> list[dict[str, Any]]:
    return [asdict(line) for line in lines]
