"""What the product's own kinds may say: one module for each, and one for the rules that several carry."""
