"""Parts of naive Bayes: laws of the features given the class, and their estimates."""
