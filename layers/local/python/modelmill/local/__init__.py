"""The local cloud: the AWS emulator with our job plug-in, the deployer of the real templates, up, down, the demo."""
