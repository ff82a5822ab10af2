"""The contract of modelmill.aws, on moto's AWS."""
