"""What every export to exact integers is made of: layers with proved sums, nodes of a graph, tables, reports."""
