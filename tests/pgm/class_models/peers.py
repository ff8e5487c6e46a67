"""Scikit-learn's classes of the kinds of naive Bayes."""

from sklearn import naive_bayes as peer

PEERS = {
    "gaussian": peer.GaussianNB,
    "bernoulli": peer.BernoulliNB,
    "multinomial": peer.MultinomialNB,
    "categorical": peer.CategoricalNB,
    "complement": peer.ComplementNB,
}
