"""Parts of the neural energy: objectives it is learned by, training, sums on a grid."""
