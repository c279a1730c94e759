"""What a declared pipeline costs: read from the cloud assembly, priced from a table that travels with the package."""

from .assumptions import Assumptions
from .bill import Bill, estimate

__all__ = ["Assumptions", "Bill", "estimate"]
