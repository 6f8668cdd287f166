"""How a duration is measured, and how sure a number is: intervals, and differences between groups."""
