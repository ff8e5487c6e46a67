"""What chains tell of themselves: whether they agree, how many independent draws they hold."""
