"""Pictures of graphs: where nodes and arrows go, what stands in them."""
