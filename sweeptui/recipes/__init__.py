"""What is swept: the recipes that come with sweeptui, and how a recipe is found."""
