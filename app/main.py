"""Entry point of ``panel serve app``: runs once for every session."""

import sys

from .services import open_services
from .shell import Shell

Shell(open_services(tuple(sys.argv[1:]))).server_doc()
