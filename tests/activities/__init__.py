"""Activities, without a workflow around them."""
