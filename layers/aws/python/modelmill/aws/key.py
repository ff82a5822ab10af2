"""API keys from an operator's terminal: a tenant and a name in; a key, shown once, or how many were taken back, out.

`python -m modelmill.aws.key create|revoke TENANT NAME`, `… list TENANT`: with AWS credentials that may write the table
in MODELMILL_TABLE. No function runs this: over HTTP nobody can make a key.
"""

import argparse
import sys

from modelmill.aws.clients import FAULTS
from modelmill.aws.records import keys
from modelmill.core.errors import Rejected
from modelmill.core.names import check_name


def main(arguments: list[str]) -> int:
    """Run one command; 1 with the reason on stderr for a bad name, a name without keys, or what AWS refuses."""
    parser = argparse.ArgumentParser(prog="modelmill.aws.key", description="Make, list and take back API keys.")
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("create", "revoke", "list"):
        tenant = commands.add_parser(command)
        tenant.add_argument("tenant")
        if command != "list":
            tenant.add_argument("name", help="whose key it is")
    given = parser.parse_args(arguments)
    try:
        return _run(given.command, check_name("tenant", given.tenant), getattr(given, "name", ""))
    except Rejected as error:
        sys.stderr.write(f"{error.message}; {error.hint}\n")
    except FAULTS as error:
        sys.stderr.write(f"{error}\n")
    except KeyError as error:
        sys.stderr.write(f"{error.args[0]} is not set: docs/06-deploy.md has the command\n")
    return 1


def _run(command: str, tenant: str, name: str) -> int:
    if command == "list":
        sys.stdout.writelines(f"{found}\n" for found in keys.names(tenant))
        return 0
    if command == "create":
        sys.stdout.write(f"{keys.create(tenant, check_name('key', name))}\n")
        return 0
    revoked = keys.revoke(tenant, check_name("key", name))
    sys.stderr.write(f"{revoked} key(s) of {name} taken back\n")
    return 0 if revoked else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
