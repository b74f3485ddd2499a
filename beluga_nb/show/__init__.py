"""Values become what people see: pure functions to strings and bytes."""
