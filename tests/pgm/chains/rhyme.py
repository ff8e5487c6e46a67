"""A text that the tests of Markov chains share."""

TEXT_OF_RHYME = """
there was a crooked man who walked a crooked mile and found a crooked sixpence upon a crooked stile
he bought a crooked cat who caught a crooked mouse and they all lived together in a little crooked
house
"""

RHYME = TEXT_OF_RHYME.split()
