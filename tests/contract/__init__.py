"""The contract of modelmill.aws, on moto's AWS and on the emulator's."""
