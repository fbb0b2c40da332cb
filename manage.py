#!/usr/bin/env python3
"""The one entry point of a checkout: `python3 manage.py proxy`, `python3 manage.py test`, or any Django command.

On a machine with nothing but Python it first builds `.venv` beside this file and starts itself again in there.
"""

import sys

from headroom_site import bootstrap


def main() -> int:
    bootstrap.enter_environment(sys.argv)
    from headroom_site import cli

    return cli.main_for_checkout(sys.argv)


if __name__ == "__main__":
    sys.exit(main())
