"""A container lock/unlock server that follows the contract, on real databases."""
