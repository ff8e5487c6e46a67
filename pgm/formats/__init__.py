"""File formats of discrete graphical models, as plain numpy tables.

`read_network` and `write_network` choose the format by the suffix: BIF, XMLBIF, Hugin NET and UAI,
each also compressed. Nothing here knows of models.
"""

from pgm.formats.bif import format_bif, parse_bif, read_bif, write_bif
from pgm.formats.files import FormatError
from pgm.formats.net import format_net, parse_net, read_net, write_net
from pgm.formats.tables import MarkovTables, NetworkTables, read_network, write_network
from pgm.formats.uai import (
    format_markov,
    format_uai,
    parse_uai,
    read_markov,
    read_uai,
    write_markov,
    write_uai,
)
from pgm.formats.uai_results import (
    read_uai_assignment,
    read_uai_evidence,
    read_uai_marginals,
    read_uai_partition,
)
from pgm.formats.xmlbif import format_xmlbif, parse_xmlbif, read_xmlbif, write_xmlbif

__all__ = [
    "FormatError",
    "MarkovTables",
    "NetworkTables",
    "format_bif",
    "format_markov",
    "format_net",
    "format_uai",
    "format_xmlbif",
    "parse_bif",
    "parse_net",
    "parse_uai",
    "parse_xmlbif",
    "read_bif",
    "read_markov",
    "read_net",
    "read_network",
    "read_uai",
    "read_uai_assignment",
    "read_uai_evidence",
    "read_uai_marginals",
    "read_uai_partition",
    "read_xmlbif",
    "write_bif",
    "write_markov",
    "write_net",
    "write_network",
    "write_uai",
    "write_xmlbif",
]
