"""The version of modelmill's code, part of every dataset version and model package."""

VERSION = "0.1.0"
