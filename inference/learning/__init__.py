"""Learning: expectation-maximisation, gradient estimators, trainers."""
