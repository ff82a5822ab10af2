"""What answers a prediction: raw rows to arrays, packages verified, sessions run. No torch, no web framework."""
