"""A column of a table: which figures of a round it shows, and how."""

import dataclasses


@dataclasses.dataclass
class Column:
    key: str  # several by commas: shown together, with slashes between
    title: str
    form: str = "{:.1f}"
    best: str = "low"  # which end is better: "low", "high", or "" where there is no better

    def keys(self):
        return self.key.split(",")
