"""How dispatchers behave: a policy is one function, one turn of a dispatcher."""

from harness.drive.population.dispatcher import Policy
from harness.drive.population.policies.adopting import adopting
from harness.drive.population.policies.careful import careful
from harness.drive.population.policies.double_unlock import double_unlock
from harness.drive.population.policies.impatient import impatient

POLICIES: dict[str, Policy] = {
    "careful": careful,
    "adopting": adopting,
    "impatient": impatient,
    "double_unlock": double_unlock,
}
