"""Parts of Hopfield networks: storage rules, exact fields, recall, fixed points, capacity."""
