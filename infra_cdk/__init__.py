"""The infrastructure: settings and built zips in, CloudFormation templates out. Begin at `workflow.py`."""
