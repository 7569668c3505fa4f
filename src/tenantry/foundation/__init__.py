"""Values and rules that every other room builds on: errors, quantities, names, selectors, patches."""
