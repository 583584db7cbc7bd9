"""The list of all mutants, by name."""

from reference_server.departures import Catalogue

MUTANTS = Catalogue("mutant")
mutant = MUTANTS.add
